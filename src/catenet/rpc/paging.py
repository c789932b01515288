"""Which height is meant and which page: the rules and texts that clients match (chain-format.md 2.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from catenet.rpc.errors import failed
from catenet.rpc.limits import Limits
from catenet.rpc.params import Arguments

T = TypeVar("T")


def chosen_height(given: int | None, *, newest: int, lowest: int) -> int:
    """Return the height that a call is about. The light clients match these texts by regular expression."""
    if given is None:
        return newest
    if given <= 0:
        raise failed(f"height must be greater than 0, but got {given}")
    if given > newest:
        raise failed(f"height {given} must be less than or equal to the current blockchain height {newest}")
    if given < lowest:
        raise failed(f"height {given} is not available, lowest height is {lowest}")
    return given


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for: items from `skip` on, `size` of them."""

    number: int | None
    size: int

    @classmethod
    def of(cls, args: Arguments, limits: Limits) -> "Page":
        """Read `page` and `per_page`; a size out of bounds is moved into them."""
        return cls(args.optional("page"), page_size(args.optional("per_page"), limits))

    def skip(self, total: int) -> int:
        """Return how many items stand before the page. Raises `RpcError` for a page that is not there."""
        pages = max(1, -(-total // self.size))
        if self.number is None:
            return 0
        if not 0 < self.number <= pages:
            raise failed(f"page should be within [1, {pages}] range, given {self.number}")
        return (self.number - 1) * self.size

    def cut(self, items: Sequence[T]) -> Sequence[T]:
        """Return the items of the page. Raises `RpcError` for a page that is not there."""
        skip = self.skip(len(items))
        return items[skip : skip + self.size]


def page_size(given: int | None, limits: Limits) -> int:
    """Return how many items an answer has."""
    if given is None or given < 1:
        return limits.page_default
    return min(given, limits.page_max)
