"""Bending a rule for a while: attributes of modules and classes are replaced, and come back in any case."""

from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType


class Bend:
    """A context in which attributes have other values."""

    def __init__(self) -> None:
        self._before: list[tuple[object, str, object]] = []

    def set(self, target: object, name: str, value: object) -> None:
        """Replace an attribute that is there; it comes back at the end of the context."""
        self._before.append((target, name, getattr(target, name)))
        setattr(target, name, value)

    def __enter__(self) -> "Bend":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._before:
            setattr(*self._before.pop())


@contextmanager
def without(holder: object, name: str) -> Iterator[None]:
    """Have an attribute be None within a call of the rule."""
    before = getattr(holder, name)
    setattr(holder, name, None)
    try:
        yield
    finally:
        setattr(holder, name, before)
