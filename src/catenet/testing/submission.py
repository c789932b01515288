"""Transactions that a test handed in, and what became of them.

What lives here waits in virtual time; the network itself is in `network`.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol

from catenet.client.values import Receipt
from catenet.types.effects import Acknowledge, Overload, TxRefusal
from catenet.types.errors import InvalidInput, Overloaded, Rejected
from catenet.types.events import Level
from catenet.types.ids import Ticket, TxId


class NotReached(AssertionError):
    """What was waited for did not come about within its virtual time."""

    def __init__(self, what: str, standing: str) -> None:
        super().__init__(f"{what} {standing}")
        self.standing = standing
        """After how long, and how the network stands."""


class NotCommitted(NotReached):
    """A transaction is in no block after the virtual time that it was given; it may still get there."""


class Chains(Protocol):
    """The network, as a submission sees it."""

    def run_until(self, reached: Callable[[], bool], *, seconds: float = ...) -> None:
        """Go on until something holds."""
        ...

    def receipt(self, tx_id: TxId, *, node: int) -> Receipt | None:
        """Return where a transaction is final, as a node sees it."""
        ...


@dataclass(slots=True, kw_only=True)
class Submission:
    """One transaction that was handed in at one node."""

    tx: bytes
    node: int
    life: int
    """Which life of its node it was handed to."""
    network: Chains = field(repr=False)
    refusal: TxRefusal | Overload | None = None
    """Why the node did not take it."""

    @property
    def id(self) -> TxId:
        """The transaction's id."""
        return sha256(self.tx).digest()

    @property
    def receipt(self) -> Receipt | None:
        """Where it is final: at the node it was handed to, or, while that is down, at any other."""
        return self.network.receipt(self.id, node=self.node)

    @property
    def answered(self) -> bool:
        """Whether it is final or refused."""
        return self.refusal is not None or self.receipt is not None

    def wait(self, *, seconds: float = 30) -> Receipt:
        """Go on until it is final, at most so many virtual seconds.

        Raises `NotCommitted`; `Rejected` when `check_tx` refused it, `InvalidInput` when it is too large,
        `Overloaded` when the node takes none. The receipt's `code` is what executing it gave.
        """
        try:
            self.network.run_until(lambda: self.answered, seconds=seconds)
        except NotReached as error:
            what = f"{self.tx[:60]!r}, handed in at node {self.node}, is in no block"
            raise NotCommitted(what, error.standing) from None
        match self.refusal:
            case None:
                receipt = self.receipt
                assert receipt is not None
                return receipt
            case Overload(reason=reason, retry_after_us=retry_after_us):
                raise Overloaded(f"node {self.node}: {reason}", retry_after_s=retry_after_us / 1e6)
            case TxRefusal(code=0, reason=reason):
                raise InvalidInput(f"{self.tx[:60]!r}: {reason}")
            case TxRefusal(code=code, reason=reason):
                raise Rejected(f"check_tx refused {self.tx[:60]!r} with code {code}: {reason}", code=code)


class Submissions:
    """All that was handed in: the nodes' answers arrive here."""

    def __init__(self, promised: Callable[[Sequence[bytes]], None]) -> None:
        """`promised` hears of transactions that a node said to be REPLICATED."""
        self._promised = promised
        self._all: list[Submission] = []

    def enter(self, submission: Submission) -> Ticket:
        """Remember a submission; return its ticket."""
        self._all.append(submission)
        return len(self._all) - 1

    def open(self, lives: Sequence[int]) -> list[Submission]:
        """Return those that can still be answered by the node's life that took them."""
        return [one for one in self._all if lives[one.node] == one.life and not one.answered]

    def acknowledged(self, effect: Acknowledge) -> None:
        """Take a node's answer: refused, or how far it came."""
        submission = self._all[effect.ticket]
        if effect.refused:
            submission.refusal = effect.refused[0]
        elif effect.reached is Level.REPLICATED and submission.refusal is None:
            self._promised([submission.tx])

    def overloaded(self, effect: Overload) -> None:
        """Take a node's refusal."""
        self._all[effect.ticket].refusal = effect
