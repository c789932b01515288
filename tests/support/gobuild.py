"""Go programs of tests/interop, built once into the cache folder outside the repository."""

import fcntl
import subprocess
from hashlib import sha256
from pathlib import Path

from catenet.cli.places import cache_home
from support.cometbft import go_binary
from support.repository import ROOT

BUILD_S = 600


def built(name: str, package: str = ".") -> Path:
    """Return the program of a module in tests/interop, built if need be; skips the test without Go.

    `package` may be one of a module that go.mod requires. Modules are checked against go.sum.
    """
    source = ROOT / "tests" / "interop" / name
    stamp = sha256(package.encode())
    for path in sorted(source.iterdir()):
        stamp.update(path.read_bytes())
    folder = cache_home() / "go" / name
    program = folder / stamp.hexdigest()[:16]
    if program.exists():
        return program
    command = [go_binary(), "build", "-mod=readonly", "-o", str(program), package]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        # Test runs side by side build once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            done = subprocess.run(
                command,
                cwd=source,
                capture_output=True,
                text=True,
                timeout=BUILD_S,
                check=False,
            )
            assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return program
