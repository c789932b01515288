"""Porcupine as a second judge of histories: built from tests/interop/porcupine, run on history files."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

from catenet.testing.linearizability import Verdict
from support.repository import ROOT
from support.required import command

SOURCE = ROOT / "tests" / "interop" / "porcupine"
BUILD_S = 300
JUDGE_S = 300


def porcupine(folder: Path) -> Path:
    """Build the judge into a folder; skip the test where there is no Go, unless CATENET_REQUIRE_GO=1."""
    return build(command("go", "GO"), folder)


def build(go: str, folder: Path) -> Path:
    """Build the judge into a folder; its modules are checked against go.sum."""
    program = folder / "porcupine"
    command = [go, "build", "-mod=readonly", "-o", str(program), "."]
    done = subprocess.run(command, cwd=SOURCE, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return program


def judge(program: Path, files: Sequence[Path]) -> list[Verdict]:
    """Return Porcupine's verdict on each history file."""
    done = subprocess.run([program, *files], capture_output=True, text=True, timeout=JUDGE_S, check=False)
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["file"] for one in found] == [str(file) for file in files]
    return [Verdict(one["verdict"]) for one in found]
