"""What can happen to one validator, and what one signs: plain values that can be compared and hashed."""

from dataclasses import dataclass
from enum import IntEnum

NIL_NAME = "nil"
"""The name of the zero block id; blocks have other names."""


class Kind(IntEnum):
    """Of a vote."""

    PREVOTE = 1
    PRECOMMIT = 2

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Cast:
    """A vote: of a validator (by turn), in a round, for a block by its name."""

    voter: int
    round: int
    kind: Kind
    value: str

    def __str__(self) -> str:
        return f"{self.kind} {self.value} of round {self.round}"


@dataclass(frozen=True, slots=True)
class Made:
    """A proposal: of a validator, in a round, of a block, on the strength of a polka's round or -1."""

    proposer: int
    round: int
    value: str
    pol_round: int

    def __str__(self) -> str:
        return f"proposal of {self.value} in round {self.round} with pol_round {self.pol_round}"


Fact = Cast | Made
"""What left a validator, signed."""


@dataclass(frozen=True, slots=True)
class Votes:
    """Single votes come, one after the other, each from its voter."""

    casts: tuple[Cast, ...]


@dataclass(frozen=True, slots=True)
class Certificate:
    """A polka or round certificate comes whole, from anybody (G3)."""

    casts: tuple[Cast, ...]


@dataclass(frozen=True, slots=True)
class Proposed:
    """A proposal comes, with or without the polka it names (G4)."""

    made: Made
    polka: tuple[Cast, ...] = ()


@dataclass(frozen=True, slots=True)
class Committed:
    """A decided block comes with its commit (G6)."""

    casts: tuple[Cast, ...]


@dataclass(frozen=True, slots=True)
class Content:
    """A block that was asked for comes (G5)."""

    value: str


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer of a round ends."""

    name: str
    round: int


@dataclass(frozen=True, slots=True)
class BlockBuilt:
    """The block that a proposer asked for is built (T3)."""


@dataclass(frozen=True, slots=True)
class Crash:
    """The power fails, and the validator starts again.

    With `during` it fails while that move is worked on: of its records `kept` are on disk, nothing has left,
    and with `guard_ahead` the guard's slot is durable before the journal.
    """

    during: "Move | None" = None
    kept: int = 0
    guard_ahead: bool = False


Move = Votes | Certificate | Proposed | Committed | Content | Timer | BlockBuilt | Crash


def describe(move: Move) -> str:
    """Return a move as a person reads it."""
    match move:
        case Votes(casts=casts):
            return "hears " + ", ".join([f"v{cast.voter}'s {cast}" for cast in casts])
        case Certificate(casts=casts):
            return "gets the certificate " + ", ".join([f"v{cast.voter}'s {cast}" for cast in casts])
        case Proposed(made=made, polka=polka):
            return f"gets v{made.proposer}'s {made}" + (" and its polka" if polka else "")
        case Committed(casts=casts):
            return f"gets the committed block {casts[0].value} of round {casts[0].round}"
        case Content(value=value):
            return f"gets the block {value} that it asked for"
        case Timer(name=name, round=round):
            return f"{name.rpartition('/')[2]} timer of round {round} ends"
        case BlockBuilt():
            return "its block is built"
        case Crash(during=None):
            return "crashes and starts again"
        case Crash(during=during, kept=kept, guard_ahead=ahead):
            assert during is not None
            return (
                f"crashes with {kept} records of this on disk{', the guard ahead' if ahead else ''}, "
                f"and starts again: {describe(during)}"
            )
