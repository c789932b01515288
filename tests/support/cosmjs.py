"""CosmJS, installed by npm as tests/interop/cosmjs/package-lock.json pins it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from support.repository import ROOT

HERE = ROOT / "tests" / "interop" / "cosmjs"
PLACE = ROOT / ".cache" / "cosmjs"
INSTALL_S = 240


def missing(reason: str) -> None:
    """Skip, or fail where the client must run."""
    if os.environ.get("CATENET_REQUIRE_NODE") == "1":
        pytest.fail(f"CATENET_REQUIRE_NODE=1, and {reason}")
    pytest.skip(reason)


def installed() -> Path:
    """Install the client once, as the lock says; returns the folder that holds the script."""
    for name in ("node", "npm"):
        if shutil.which(name) is None:
            missing(f"there is no `{name}` on the PATH")
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = PLACE / "installed.json"
    PLACE.mkdir(parents=True, exist_ok=True)
    if not stamp.is_file() or stamp.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PLACE / name)
        command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            command, cwd=PLACE, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        if done.returncode != 0:
            missing(f"npm could not install the client: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(lock)
    shutil.copy(HERE / "run.mjs", PLACE / "run.mjs")
    return PLACE
