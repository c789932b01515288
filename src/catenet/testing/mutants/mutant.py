"""What a mutant is: one rule removed or bent, by a double of the rule, never by a switch in the core."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from catenet.testing.mutants.bend import Bend


class Kind(Enum):
    """What a mutant breaks."""

    SAFETY = "safety"
    LIVENESS = "liveness"
    DURABILITY = "durability"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """A planted fault that the simulator must find."""

    name: str
    kind: Kind
    rule: str
    """The rule of docs/reference/protocol.md, or the part of the specification, that is bent."""
    bend: Callable[[Bend], None]
    """Puts the double in place of the rule."""

    @property
    def says(self) -> str:
        """What the planted fault does, in a sentence."""
        return (self.bend.__doc__ or "").strip()
