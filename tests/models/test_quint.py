"""The written model of docs/models, run by Quint: its schedules, and a seeded random walk.

Needs Node 18 or newer and npm, which fetches Quint as package-lock.json pins it. Without them the tests are
skipped; CATENET_REQUIRE_NODE=1 makes them fail instead. Quint's exhaustive `verify` is not used: it downloads
a program of its own.
"""

import shutil
import subprocess
from pathlib import Path

import pytest

from support.repository import ROOT
from support.required import command, missing

MODEL = ROOT / "docs" / "models" / "consensus.qnt"
HERE = Path(__file__).parent
PLACE = ROOT / ".cache" / "quint"
SEED = "2"
WALKS = "32"

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def quint() -> Path:
    """Install Quint once, as the lock says."""
    for name in ("node", "npm"):
        command(name, "NODE")
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = PLACE / "installed.json"
    if not stamp.is_file() or stamp.read_bytes() != lock:
        PLACE.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PLACE / name)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(install, cwd=PLACE, capture_output=True, text=True, timeout=240, check=False)
        if done.returncode != 0:
            missing("NODE", f"npm could not install Quint: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(lock)
    return PLACE / "node_modules" / ".bin" / "quint"


def run(quint: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Quint on the model."""
    return subprocess.run(
        [quint, *arguments, MODEL], capture_output=True, text=True, timeout=240, check=False
    )


def walk(quint: Path, main: str) -> subprocess.CompletedProcess[str]:
    """Walk through a model at random: the same walks for the same seed."""
    return run(
        quint,
        *("run", "--backend=typescript", f"--main={main}", "--invariants", "safe", f"--seed={SEED}"),
        *("--witnesses", "someoneDecides", "someoneIsLockedInALaterRound"),
        *(f"--max-samples={WALKS}", "--max-steps=60", "--verbosity=1"),
    )


@pytest.mark.parametrize(("main", "name"), [("rules", "lockHoldsTest"), ("unlocked", "forkWithoutLockTest")])
def test_a_schedule_of_the_model_ends_as_it_says(quint: Path, main: str, name: str) -> None:
    done = run(quint, "test", "--backend=typescript", f"--main={main}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ok {name}" in done.stdout


def test_a_random_walk_keeps_the_invariants_and_reaches_locks_and_decisions(quint: Path) -> None:
    done = walk(quint, "rules")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No violation found" in done.stdout
    for line in done.stdout.splitlines():
        if "was witnessed in" in line:
            assert int(line.partition("was witnessed in ")[2].split()[0]) >= 5, line


def test_the_same_walk_finds_the_lock_that_does_not_count(quint: Path) -> None:
    done = walk(quint, "unlocked")
    assert done.returncode != 0
    assert "[violation]" in done.stdout
