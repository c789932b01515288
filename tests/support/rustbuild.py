"""Rust programs over the crates that tests/interop/rust pins, built once into the cache folder."""

import fcntl
import os
import re
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path

from catenet.cli.places import cache_home
from support.repository import ROOT
from support.required import command, missing

HERE = ROOT / "tests" / "interop" / "rust"
BUILD_S = 900


def cargo_binary() -> str:
    """Return the `cargo` command; skips the test where there is none that is new enough for the lock."""
    cargo = command("cargo", "RUST")
    said = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=True).stdout
    wanted = re.findall(r'^rust-version = "(\d+)\.(\d+)"$', (HERE / "Cargo.toml").read_text(), re.M)[0]
    found = re.findall(r"^cargo (\d+)\.(\d+)", said)[0]
    if tuple(map(int, found)) < tuple(map(int, wanted)):
        missing(
            "RUST", f"`{said.strip()}` is older than {'.'.join(wanted)}, which {HERE / 'Cargo.toml'} asks for"
        )
    return cargo


def without_backtraces() -> dict[str, str]:
    """Return the environment for a program whose errors are to be short."""
    return {**os.environ, "RUST_BACKTRACE": "0"}


def clients() -> Path:
    """Return the program of tests/interop/rust, built if need be; skips the test without Rust."""
    return built({path.name: path.read_text() for path in (HERE / "src").iterdir()})


def built(sources: dict[str, str]) -> Path:
    """Return the program of these files of `src`, built if need be with the crates that the lock pins.

    Skips the test without Rust. The crates themselves are compiled once for all programs.
    """
    folder = cache_home() / "rust"
    files = {name: (HERE / name).read_text() for name in ("Cargo.toml", "Cargo.lock")}
    files |= {f"src/{name}": text for name, text in sources.items()}
    program = folder / sha256(repr(sorted(files.items())).encode()).hexdigest()[:16]
    if program.exists():
        return program
    cargo = cargo_binary()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        # Test runs side by side build once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            _build(cargo, files, folder, program)
    return program


def _build(cargo: str, files: dict[str, str], folder: Path, program: Path) -> None:
    module = folder / "module"
    shutil.rmtree(module, ignore_errors=True)
    for name, text in files.items():
        (module / name).parent.mkdir(parents=True, exist_ok=True)
        (module / name).write_text(text)
    build = [cargo, "build", "--locked", "--target-dir", str(folder / "target")]
    done = subprocess.run(build, cwd=module, capture_output=True, text=True, timeout=BUILD_S, check=False)
    assert done.returncode == 0, f"{' '.join(build)}\n{done.stdout}\n{done.stderr}"
    (folder / "target" / "debug" / "rust-clients").rename(program)
