"""Copies of a validator's mutable state, quick enough for one at each transition.

Values that never change (blocks, votes, messages: every frozen dataclass) are shared between all copies.
"""

import dataclasses
from collections.abc import Callable
from enum import Enum
from types import FunctionType, MethodType

from catenet.testing.model.scene import Scene
from catenet.testing.model.validator import Validator

_ATOMS = (type(None), bool, int, str, bytes, tuple, frozenset, Enum, FunctionType, Scene, type)
"""Never copied. A tuple of the machine holds only what is not."""

Memo = dict[int, object]


def copy(validator: Validator) -> Validator:
    """Return a validator that is in the same state and shares nothing that can change."""
    made = _copy(validator, {})
    assert isinstance(made, Validator)
    return made


def _copy(value: object, memo: Memo) -> object:
    kind = type(value)
    if kind not in _known:
        _known[kind] = _choose(kind)
    how = _known[kind]
    if how is None:
        return value
    found = memo.get(id(value))
    return how(value, memo) if found is None else found


_known: dict[type, Callable[[object, Memo], object] | None] = {}


def _choose(kind: type) -> Callable[[object, Memo], object] | None:
    """Return how values of a type are copied; None: they are shared."""
    params = getattr(kind, "__dataclass_params__", None)
    if issubclass(kind, _ATOMS) or (dataclasses.is_dataclass(kind) and getattr(params, "frozen", False)):
        return None
    if kind is MethodType:
        return _copy_method
    if kind is dict:
        return _copy_dict
    if kind is list:
        return _copy_list
    if kind is set:
        return _copy_set
    names = tuple([name for base in kind.__mro__ for name in getattr(base, "__slots__", ())])
    return lambda value, memo: _copy_object(value, memo, names)


def _copy_method(value: object, memo: Memo) -> object:
    assert isinstance(value, MethodType)
    return MethodType(value.__func__, _copy(value.__self__, memo))


def _copy_dict(value: object, memo: Memo) -> object:
    assert isinstance(value, dict)
    made = memo[id(value)] = {key: _copy(item, memo) for key, item in value.items()}
    return made


def _copy_list(value: object, memo: Memo) -> object:
    assert isinstance(value, list)
    made = memo[id(value)] = [_copy(item, memo) for item in value]
    return made


def _copy_set(value: object, memo: Memo) -> object:
    assert isinstance(value, set)
    made = memo[id(value)] = set(value)
    return made


def _copy_object(value: object, memo: Memo, names: tuple[str, ...]) -> object:
    made = memo[id(value)] = object.__new__(type(value))
    for name in names:
        setattr(made, name, _copy(getattr(value, name), memo))
    if hasattr(value, "__dict__"):
        for name, item in vars(value).items():
            made.__dict__[name] = _copy(item, memo)
    return made
