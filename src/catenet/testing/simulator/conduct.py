"""How a validator behaves beyond its production core: the hooks of a traitor, and the hand it acts with.

A traitor runs the same core as everybody. What it says, hears and hands out passes through its `Conduct`,
and its `Hand` signs whatever it likes with its own key. It never holds another's key.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

from catenet.chain.vote import Proposal, Vote
from catenet.core.consensus.io import ConsensusConfig
from catenet.core.node import Node
from catenet.testing.simulator.chooser import Chooser
from catenet.testing.simulator.keys import SimulatedKey
from catenet.types.clock import Instant
from catenet.types.events import BlocksReceived
from catenet.types.ids import Address
from catenet.types.messages import Found, Message, Status


class Hand(Protocol):
    """What a traitor can do. All of it is its own: key, core, links, clock."""

    @property
    def index(self) -> int:
        """The place of its process in the network."""
        ...

    @property
    def address(self) -> Address:
        """The address of its vote key."""
        ...

    @property
    def key(self) -> SimulatedKey:
        """Its vote key."""
        ...

    @property
    def chain_id(self) -> str:
        """The chain's name, which is signed."""
        ...

    @property
    def settings(self) -> ConsensusConfig:
        """The timers of all nodes."""
        ...

    @property
    def core(self) -> Node:
        """Its core, for what it knows: heights, rounds, blocks, votes."""
        ...

    @property
    def chooser(self) -> Chooser:
        """The run's source of chance."""
        ...

    def now(self) -> Instant:
        """Return its idea of the time."""
        ...

    def peers(self) -> Sequence[int]:
        """Return the places that it is connected to."""
        ...

    def sign_vote(self, vote: Vote) -> Vote:
        """Sign anything: no guard asks."""
        ...

    def sign_proposal(self, proposal: Proposal) -> Proposal:
        """Sign anything: no guard asks."""
        ...

    def say(self, peer: int, message: Message) -> None:
        """Send to a peer at once, whatever is on disk."""
        ...

    def after(self, delay_us: int, action: Callable[[], None]) -> None:
        """Do something later in this life."""
        ...

    def submitted(self, txs: Sequence[bytes]) -> None:
        """Own up to transactions of its own making: they may be committed."""
        ...

    def twins(self) -> Sequence[int]:
        """Return the places of all processes that share its key, its own among them, in order."""
        ...

    def others(self) -> Sequence[int]:
        """Return the places of all processes with other keys."""
        ...

    def address_of(self, place: int) -> Address:
        """Return the address of the vote key of a place."""
        ...

    def darken(self, a: int, b: int, for_us: int) -> None:
        """Lose what two others say to each other, during chaos: then the network is the adversary's."""
        ...

    def did(self, what: str) -> None:
        """Count something done that no honest node does."""
        ...

    def newest_block(self) -> bytes:
        """Return the newest block in its store; empty: there is none."""
        ...

    def restart_with_nothing(self) -> None:
        """Die, and begin the next life without journal and guard."""
        ...

    def set_link(self, twin: int, peer: int, *, open: bool) -> None:
        """Open or cut the link of a process of its own to another place."""
        ...


class Conduct:
    """Behaves as the core says. A traitor overrides what it does otherwise."""

    twins = 1
    """How many processes share the key; each has a conduct of its own."""

    hand: Hand
    """Set before the first life."""

    def begin(self) -> None:
        """Begin a life of the process."""

    def says(self, peer: int, message: Message) -> Sequence[Message]:
        """Return what goes to a peer where the core says `message`."""
        return (message,)

    def hears(self, peer: Address, message: Message) -> Sequence[Message]:
        """Return what the core hears where `message` arrived."""
        return (message,)

    def finds(self, found: Sequence[Found]) -> Sequence[Found]:
        """Return the answer to a fetch where the core answers `found`."""
        return found

    def serves(self, run: BlocksReceived) -> BlocksReceived | None:
        """Return what a peer that syncs gets where the store has `run`; None: nothing."""
        return run

    def acted(self) -> None:
        """The core took an event and everything that follows from it."""


def unwarned(message: Message) -> Message:
    """Return what the core of a traitor hears: it never learns which votes its key has signed beside it."""
    return replace(message, yours=b"") if isinstance(message, Status) else message
