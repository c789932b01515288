"""The import contracts hold, and both they and the linter catch what they are there for."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from support.repository import ROOT

STAIRS = "Rooms and stairs"
MACHINES = "Machines of the core"
PURE = "Pure rooms"
ABCI = "Only node knows ABCI"
RPC = "Only node knows the JSON-RPC"


def lint_imports(root: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of the tree at `root`, whichever catenet is installed."""
    return subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys; sys.path.insert(0, 'src');"
            "from importlinter.cli import lint_imports_command as main; main()",
            "--no-cache",
            "--no-logo",
        ],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_the_contracts_hold() -> None:
    result = lint_imports(ROOT)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "line", "contract"),
    [
        ("types/ids.py", "import catenet.core", STAIRS),
        ("chain/merkle.py", "import catenet.types.ids", STAIRS),
        ("network/planted.py", "import catenet.storage", STAIRS),
        ("apps/planted.py", "import catenet.wire", STAIRS),
        ("attic/__init__.py", "x = 1", STAIRS),
        ("rpc/planted.py", "import catenet.api", STAIRS),
        ("cli/planted.py", "import catenet.rpc.routes", RPC),
        ("testing/planted.py", "import catenet.rpc", RPC),
        ("node/planted.py", "import catenet.rpc.server", RPC),
        ("core/consensus/planted.py", "import catenet.core.batches", MACHINES),
        ("core/planted.py", "import time", PURE),
        ("core/planted.py", "from os import urandom", PURE),
        ("apps/planted.py", "import asyncio", PURE),
        ("cli/planted.py", "import catenet.abci.host", ABCI),
        ("node/planted.py", "import catenet.abci.server", ABCI),
    ],
)
def test_a_planted_import_breaks_its_contract(tmp_path: Path, path: str, line: str, contract: str) -> None:
    shutil.copytree(ROOT / "src", tmp_path / "src", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    target = tmp_path / "src/catenet" / path
    target.parent.mkdir(exist_ok=True)
    text = target.read_text(encoding="utf-8") if target.exists() else '"""Planted."""\n'
    target.write_text(f"{text}\n{line}\n", encoding="utf-8")
    result = lint_imports(tmp_path)
    assert result.returncode != 0
    broken = [row for row in result.stdout.splitlines() if row.endswith("BROKEN")]
    assert any(row.startswith(contract) for row in broken), result.stdout


@pytest.mark.parametrize(
    ("path", "line", "code"),
    [
        ("core/planted.py", "import asyncio\n\nx = asyncio.create_task", "TID251"),
        ("network/planted.py", "import asyncio\n\nx = asyncio.gather", "TID251"),
        ("network/planted.py", "import asyncio\n\nx = asyncio.ensure_future", "TID251"),
        ("node/planted.py", "import time\n\nx = time.time()", "TID251"),
        ("node/planted.py", "import time\n\ntime.sleep(1)", "TID251"),
        ("core/planted.py", "import random\n\nx = random.random()", "TID251"),
        ("storage/planted.py", "import pickle", "TID251"),
        ("storage/planted.py", "import marshal", "TID251"),
        ("cli/planted.py", 'x = eval("1")', "S307"),
        ("cli/planted.py", 'exec("x = 1")', "S102"),
        ("cli/planted.py", 'import os\n\nos.system("true")', "S605"),
        ("cli/planted.py", 'import subprocess\n\nsubprocess.run("true", shell=True)', "S602"),
        ("node/planted.py", 'import yaml\n\nx = yaml.load("")', "S506"),
        ("storage/planted.py", "try:\n    x = 1\nexcept Exception:\n    x = 2", "BLE001"),
        ("storage/planted.py", "from . import log", "TID252"),
        ("storage/planted.py", 'import logging\n\nlogging.getLogger("x").info(f"{logging}")', "G004"),
        ("types/planted.py", "def shown() -> None:\n    return None", "D103"),
    ],
)
def test_a_planted_fault_is_caught_by_the_linter(path: str, line: str, code: str) -> None:
    place = ["--stdin-filename", f"src/catenet/{path}", "-"]
    result = subprocess.run(
        [sys.executable, "-m", "ruff", "check", "--no-cache", "--output-format=concise", *place],
        input=f'"""Planted."""\n\n{line}\n',
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert code in result.stdout
