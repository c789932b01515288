"""The pytest plugin: the fixture is there, the seed is the test's own, and a failure shows it."""

import ast
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from catenet.apps.kv import KeyValue
from catenet.testing.network import NetworkFactory
from support.repository import dotted_name, modules

PLUGIN = "catenet.testing.plugin"

TESTS = """
import pytest
from catenet.apps.kv import KeyValue

def test_plain(catenet_network):
    assert catenet_network(KeyValue).seed == 1

@pytest.mark.catenet(seed=7)
def test_marked(catenet_network):
    network = catenet_network(KeyValue)
    network.submit(b"a=1").wait()
    network.crash(2)
    assert network.seed == 0

@pytest.mark.catenet(seeds=3)
def test_many(catenet_network, catenet_seed):
    assert catenet_network(KeyValue).seed == catenet_seed != 2
"""


def pytest_in(folder: Path, *args: str) -> str:
    """Run pytest as a user does, with no plugin but ours, and return what it prints."""
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_it.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", PLUGIN, *args]
    environment = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.stdout


def test_the_fixture_is_there_because_catenet_is_installed(catenet_network: NetworkFactory) -> None:
    assert PLUGIN in [entry.value for entry in entry_points(group="pytest11")]
    network = catenet_network(KeyValue, powers=[1], seed=4)
    assert network.submit(b"a=1").wait().code == 0
    assert network.seed == 4


@pytest.mark.slow
def test_a_failure_shows_its_seed_its_story_and_how_to_see_it_again(tmp_path: Path) -> None:
    printed = pytest_in(tmp_path)
    assert "2 failed, 3 passed" in printed
    assert "FAILED test_it.py::test_many[seed2]" in printed
    assert "seed 7; the same run again: pytest 'test_it.py::test_marked'" in printed
    story = printed.partition("test_it.py::test_marked'")[2]
    assert "is final at node" in story
    assert "node 2 crashes" in story
    assert "down: 2" in story


@pytest.mark.slow
def test_the_command_line_decides_the_seed(tmp_path: Path) -> None:
    printed = pytest_in(tmp_path, "--catenet-seed", "9", "test_it.py::test_many", "test_it.py::test_marked")
    assert "1 failed, 1 passed" in printed
    assert "pytest --catenet-seed 9 'test_it.py::test_marked'" in printed


def test_only_the_plugin_imports_pytest_and_the_plugin_only_pytest() -> None:
    def imports(tree: ast.AST) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                found.update(alias.name.partition(".")[0] for alias in node.names)
            if isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])
        return found

    users = [dotted_name(m.path) for m in modules(below="src") if {"pytest", "_pytest"} & imports(m.tree)]
    assert users == [PLUGIN]
    code = f"import sys, {PLUGIN}; print(sorted(name for name in sys.modules if name.startswith('catenet')))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert loaded.strip() == "['catenet', 'catenet.testing', 'catenet.testing.plugin']"
