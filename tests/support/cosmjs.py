"""CosmJS, installed by npm as tests/interop/cosmjs/package-lock.json pins it."""

import shutil
import subprocess
from pathlib import Path

from support.repository import ROOT
from support.required import command, missing

HERE = ROOT / "tests" / "interop" / "cosmjs"
PLACE = ROOT / ".cache" / "cosmjs"
INSTALL_S = 240


def installed() -> Path:
    """Install the client once, as the lock says; returns the folder that holds the script."""
    for name in ("node", "npm"):
        command(name, "NODE")
    lock = (HERE / "package-lock.json").read_bytes()
    stamp = PLACE / "installed.json"
    PLACE.mkdir(parents=True, exist_ok=True)
    if not stamp.is_file() or stamp.read_bytes() != lock:
        for name in ("package.json", "package-lock.json"):
            shutil.copy(HERE / name, PLACE / name)
        install = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
        done = subprocess.run(
            install, cwd=PLACE, capture_output=True, text=True, timeout=INSTALL_S, check=False
        )
        if done.returncode != 0:
            missing("NODE", f"npm could not install the client: {done.stderr.strip()[-300:]}")
        stamp.write_bytes(lock)
    shutil.copy(HERE / "run.mjs", PLACE / "run.mjs")
    return PLACE
