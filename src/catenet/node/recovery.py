"""What an operator does to the home of a stopped node: repair, rejoin, export and import of the sign state.

Each takes the home's lock: a running node is never touched. Nothing here makes a signature possible that the
rules of consensus.md 4 forbid, except `repair` with `accept_fork`, which says so.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from catenet.chain.encoding import DecodeError
from catenet.chain.keys import PrivateKey, parse_key_file
from catenet.chain.state import ChainState
from catenet.core.guard import NEVER, GuardState, import_json, names_its_place, raised_by, rejoin_height
from catenet.node.journal import forgot_all, needs_operator, others_decide, was_cut
from catenet.node.opening import read_genesis, read_key, stored_state
from catenet.storage.guard_file import GuardFile, exported
from catenet.storage.home import Home
from catenet.storage.ledger import Ledger
from catenet.storage.safety import (
    Found,
    Mark,
    Repaired,
    Safety,
    open_safety,
    put_aside,
    read_marks,
    repair_home,
    write_marks,
)
from catenet.storage.scan import segment_numbers
from catenet.types.errors import Corrupt, InvalidInput, WrongState
from catenet.types.records import Record, RejoinRecord, standing
from catenet.wire.records import decode_record, encode_record


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejoining:
    """What `rejoin` found and did."""

    height: int
    """Of the newest block stored here."""
    put_aside: str
    """The damaged guard file, under its new name; empty when it was not damaged."""


def rejoin(home: Home) -> Rejoining:
    """Have a home whose signatures are not known ask the others first: nothing is signed until they answered.

    Allowed for every home whose network goes on without it: it only makes it wait. Raises `WrongState`.
    """
    with home.lock():
        state, key = _chain_and_key(home)
        if not others_decide(state, key):
            raise WrongState(
                f"the other validators of chain {state.chain_id} decide nothing without this one, so they "
                f"never get to the height above which it may sign; see: catenet repair --help"
            )
        aside = _put_damaged_guard_aside(home)
        with _safety(home) as safety:
            if safety.guard.retired:
                raise WrongState(exported(home.guard))
            # The newest record counts: the height is not known until the others have named theirs.
            safety.journal.append([encode_record(RejoinRecord(height=0))])
            safety.journal.sync()
        home.note_signing(state.chain_id)
        return Rejoining(height=state.last_height, put_aside=aside)


def _put_damaged_guard_aside(home: Home) -> str:
    if not home.guard.exists():
        return ""
    try:
        GuardFile.open(home.guard).close()
    except Corrupt:
        return str(put_aside(home.guard))
    return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RepairedHome:
    """What `repair` did, and whether the node may start."""

    cut: Repaired
    needs_flag: bool
    """It may have signed what is lost, and without it nothing is committed: the operator must decide."""


def repair(home: Home, *, accept_fork: bool) -> RepairedHome:
    """Cut journal and block log down to what is valid; with `accept_fork` also let the home sign again.

    The latter is for a validator without which nothing is committed. Raises `WrongState` for any other.
    """
    with home.lock():
        cut = repair_home(home)
        marks = read_marks(home)
        asks = _needs_operator(home)
        if accept_fork and not asks:
            raise WrongState(
                "this validator may go on without it: nothing that it signed is unknown, or the others go on "
                "until it is safe to sign; --accept-fork would only risk a double signature; "
                f"run: catenet start --home {home.root}"
            )
        if accept_fork:
            marks |= {Mark.FORK}
            write_marks(home, marks)
        return RepairedHome(cut=cut, needs_flag=asks and Mark.FORK not in marks)


def _needs_operator(home: Home) -> bool:
    """Whether only the operator can say how this home goes on."""
    state, key = _chain_and_key(home)
    if others_decide(state, key):
        return False
    if forgot_all(home, state.chain_id):
        return True
    if not segment_numbers(home.journal) and not home.guard.exists():
        return False
    with _safety(home) as safety:
        guard, records = _guard_state(safety), _records(safety)
        return needs_operator(state, key, guard, records, cut=was_cut(safety, guard, records))


def export_state(home: Home) -> GuardState:
    """Return what was signed last, and refuse to sign from here until it is imported again.

    Calling it again gives the same. Raises `WrongState` when what was signed is not known here.
    """
    with home.lock():
        state, _ = _chain_and_key(home)
        if forgot_all(home, state.chain_id):
            raise WrongState(
                f"journal and guard in {home.data} are gone or cut, so what this key signed is not known; "
                f"run first: catenet rejoin --home {home.root}"
            )
        with _safety(home) as safety:
            newest, barred = _signed(safety, state.chain_id)
            if not safety.guard.retired:
                lost = safety.found in (Found.JOURNAL_LOST, Found.REPAIRED)
                if lost or barred == NEVER:
                    raise WrongState(
                        f"what this key signed is not known: {home.journal} was lost or cut, or the node "
                        "waits to rejoin; let it sign again first, and export then: "
                        f"catenet start --home {home.root}"
                    )
                safety.guard.write(newest.encode())
                # Before the file is given out: at no moment can two signers go on from it.
                safety.guard.retire()
        # Where nothing may be signed up to a height, the next signer must keep to it, too.
        return newest if newest.height > barred else GuardState(height=barred + 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What `import_state` took over."""

    state: GuardState
    signs_above: int
    """Nothing is signed up to this height, for what was locked there is not known here; 0: not barred."""


def import_state(home: Home, text: str) -> Imported:
    """Take over what another signer signed last with this home's key. Raises `InvalidInput`, `WrongState`."""
    with home.lock():
        state, key = _chain_and_key(home)
        given = _read_state(text, state.chain_id, key)
        with _safety(home) as safety:
            ours, _ = _signed(safety, state.chain_id)
            _compare(home, given, ours)
            same = given.place == ours.place
            # The own state also knows the vote itself, which the file does not hold.
            kept = ours if same else given
            # At step 0 nothing was signed at that height.
            bar = 0 if same or not others_decide(state, key) else given.height - (given.step == 0)
            if bar > 0:
                safety.journal.append([encode_record(RejoinRecord(height=bar))])
                safety.journal.sync()
            safety.guard.restore(kept.encode())
        home.note_signing(state.chain_id)
        return Imported(state=kept, signs_above=bar)


def _read_state(text: str, chain_id: str, key: PrivateKey) -> GuardState:
    try:
        given = import_json(text)
        if given.sign_bytes and not names_its_place(given, chain_id):
            raise InvalidInput(
                f"its signbytes are not those of height {given.height}, round {given.round}, step "
                f"{given.step} on chain {chain_id}; take the file of this chain, as its signer wrote it"
            )
    except (ValueError, DecodeError) as error:
        raise InvalidInput(f"it is damaged: {error}; take it again from the signer that wrote it") from None
    if given.signature and not key.public.verify(given.sign_bytes, given.signature):
        address = key.public.address.hex().upper()
        raise InvalidInput(
            f"its signature is not by this home's key {address}; take the file beside that key"
        )
    return given


def _compare(home: Home, given: GuardState, ours: GuardState) -> None:
    if given.place < ours.place:
        raise WrongState(
            f"it says {_say(given)}, and {home.guard} has signed {_say(ours)}: to go back would be to sign "
            "twice; take the newest state of the signer that used the key last"
        )
    if given.place == ours.place and given.sign_bytes != ours.sign_bytes:
        raise WrongState(
            f"it holds another signature for {_say(given)} than {home.guard}: two signers used this key at "
            "once. Stop both, and find out which one is to go on"
        )


def _say(state: GuardState) -> str:
    return f"height {state.height}, round {state.round}, step {state.step}"


def _chain_and_key(home: Home) -> tuple[ChainState, PrivateKey]:
    genesis = read_genesis(home)
    key = read_key(home.validator_key, parse_key_file)
    ledger = Ledger.open(home.data)
    try:
        return stored_state(home, genesis, ledger), key
    finally:
        ledger.close()


@contextmanager
def _safety(home: Home) -> Iterator[Safety]:
    """Open journal and guard; closed in good order only when nothing went wrong."""
    safety = open_safety(home, sync=os.fsync)
    yield safety
    safety.close()


def _records(safety: Safety) -> list[Record]:
    return standing([decode_record(data) for _, data in safety.journal.records()])


def _guard_state(safety: Safety) -> GuardState:
    try:
        return GuardState.decode(safety.guard.state)
    except DecodeError as error:
        raise Corrupt(f"{safety.guard.path}: the guard's state does not parse: {error}") from None


def _signed(safety: Safety, chain_id: str) -> tuple[GuardState, int]:
    """Return what was signed last, by the guard or by the journal, and up to which height nothing may be."""
    records = _records(safety)
    return raised_by(_guard_state(safety), records, chain_id), rejoin_height(records)
