"""`app` of the configuration: the application that a node runs."""

from pathlib import Path

import pytest

from catenet.apps.kv import KeyValue
from catenet.node.application import load_application
from catenet.storage.state import TableState, open_state
from catenet.types.errors import InvalidInput

MODULE = '''
from catenet.types.application import Application


class Plain(Application):
    """Takes nothing."""


class Stored(Application):
    """Takes the state store."""

    def __init__(self, store):
        self.store = store


class Stranger:
    """No application."""
'''


@pytest.fixture
def store(tmp_path: Path) -> TableState:
    return open_state(tmp_path / "app")[0]


@pytest.fixture(autouse=True)
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own_application.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(tmp_path))


def test_kv_comes_with_catenet(store: TableState) -> None:
    assert isinstance(load_application("kv", store), KeyValue)


def test_an_own_class_is_made_with_the_store_when_it_takes_one(store: TableState) -> None:
    assert type(load_application("own_application:Plain", store)).__name__ == "Plain"
    assert vars(load_application("own_application:Stored", store))["store"] is store


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("other", 'expected "kv" or "module:Class"'),
        ("no_such_module:App", "No module named 'no_such_module'"),
        ("own_application:Missing", "has no Missing"),
        ("own_application:Stranger", "no subclass"),
    ],
)
def test_anything_else_is_refused_with_the_reason(store: TableState, name: str, reason: str) -> None:
    with pytest.raises(InvalidInput, match=reason):
        load_application(name, store)
