"""Finds the application that a node runs: one that comes with Catenet, or a class of the operator's own."""

import inspect
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import TypeAlias, cast

from catenet.apps.kv import KeyValue
from catenet.types.application import Application
from catenet.types.errors import InvalidInput
from catenet.types.ports import StateStore

Factory: TypeAlias = Callable[[], Application] | Callable[[StateStore], Application]
"""Makes an application, with or without a state store. A subclass of `Application` is one."""


def load_application(name: str, store: StateStore) -> Application:
    """Return the application of the setting `app`: `kv`, or `module:Class`.

    The module is looked for where Python looks, and in the working directory. The class is a subclass of
    `catenet.types.application.Application`; if it takes an argument, that is its state store. Raises
    `InvalidInput`.
    """
    if name == "kv":
        return KeyValue(store)
    module_name, _, class_name = name.partition(":")
    if not module_name or not class_name:
        raise InvalidInput(
            f'app = "{name}": expected "kv" or "module:Class", for example "registry:Registry"'
        )
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(import_module(module_name), class_name)
    except ImportError as error:
        raise InvalidInput(f'app = "{name}": {error}; install the module, or start in its folder') from error
    except AttributeError:
        raise InvalidInput(f'app = "{name}": module {module_name} has no {class_name}') from None
    if not (isinstance(found, type) and issubclass(found, Application)):
        text = f'app = "{name}": {class_name} is no subclass of catenet.types.application.Application'
        raise InvalidInput(text)
    return make_application(found, store)


def make_application(factory: Factory, store: StateStore) -> Application:
    """Return what a class or a function makes; if it takes an argument, that is its state store."""
    make = cast("Callable[..., Application]", factory)
    return make(store) if inspect.signature(factory).parameters else make()
