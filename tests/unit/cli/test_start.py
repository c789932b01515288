"""How `catenet start` hands over to the node."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

from catenet.cli import start
from catenet.node import assemble
from catenet.node.config import NodeConfig


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    yield
    gc.unfreeze()
    gc.enable()


def test_a_node_runs_with_its_garbage_collected_and_its_imports_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[bool, bool]] = []

    async def node(home: Path, *, config: NodeConfig) -> int:
        seen.append((gc.isenabled(), gc.get_freeze_count() > 10_000))
        return 7

    monkeypatch.setattr(assemble, "run_node", node)
    assert start._run(tmp_path, NodeConfig()) == 7
    assert seen == [(True, True)]
