"""Reads what a home says before a node runs: chain, keys, stored state. For its start and commands."""

import logging
from collections.abc import Callable
from pathlib import Path

from catenet.chain.genesis import Genesis, GenesisError
from catenet.chain.keys import PrivateKey
from catenet.chain.state import ChainState
from catenet.node.journal import Journal
from catenet.storage.home import Home, read_private
from catenet.storage.ledger import Ledger
from catenet.storage.safety import put_aside
from catenet.storage.state import TableState, open_state
from catenet.types.errors import InvalidInput, WrongState

log = logging.getLogger(__name__)


def read_genesis(home: Home) -> Genesis:
    """Read the genesis file of a home. Raises `InvalidInput` with what is wrong in it."""
    try:
        return Genesis.from_json(home.genesis.read_text())
    except OSError as error:
        raise InvalidInput(f"{home.genesis}: {error.strerror}; copy the chain's genesis file there") from None
    except (GenesisError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{home.genesis}: {error}") from None


def read_key(path: Path, parse: Callable[[str], PrivateKey]) -> PrivateKey:
    """Read a key file. Raises `InvalidInput` when it is damaged, `WrongState` when others may read it."""
    try:
        return parse(read_private(path).decode())
    except ValueError as error:
        raise InvalidInput(f"{path}: {error}; restore the file from a backup") from None


def stored_state(home: Home, genesis: Genesis, ledger: Ledger) -> ChainState:
    """Return the state after the newest stored block, or that of the genesis.

    Refuses a genesis of another chain than the stored one: the node would sign for both.
    """
    if not ledger.head:
        return ChainState.genesis(genesis)
    state = ledger.state_at(ledger.head)
    assert state is not None, f"the state after height {ledger.head} is missing beside its block"
    if state.chain_id != genesis.chain_id:
        raise WrongState(
            f"{home.genesis} is of chain {genesis.chain_id}, the blocks in {home.data} are of chain "
            f"{state.chain_id}; put that chain's genesis file back, or use another --home"
        )
    return state


def open_app_state(home: Home, journal: Journal, ledger: Ledger) -> TableState:
    """Open the built-in store of the application.

    It follows from the blocks. Where a repair or a loss left it ahead of them, it is put aside, and made
    again by executing the blocks as they come back: their results cannot be read off the blocks alone.
    """
    state, was_reset = open_state(home.app)
    if journal.was_lost and state.height > ledger.head:
        height = state.height
        state.close()
        aside = put_aside(home.app)
        log.warning(
            "application_state_put_aside",
            extra={"height": height, "stored_height": ledger.head, "kept": str(aside)},
        )
        state, was_reset = open_state(home.app)
    if was_reset:
        log.warning("application_state_rebuilt", extra={"height": ledger.head})
    return state
