"""Clients generated from the reference's two proto files alone, in Python and in Go, talk to Catenet.

CATENET_INTEROP_TARGET=HOST:PORT names a running node to drive instead of one in memory; CATENET_REQUIRE_GO=1
makes a missing Go a failure.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pytest

from support.required import command

HERE: Final = Path(__file__).parent
PROTO: Final = HERE / "proto" / "reference"
FILES: Final = ("node.proto", "sync.proto")
MODULE: Final = "catenet.test/interop"
PLUGINS: Final = (
    "google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.12",
    "google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.6.2",
)


@pytest.fixture(scope="module")
def target() -> Iterator[str]:
    """A node to talk to, in a process of its own."""
    if given := os.environ.get("CATENET_INTEROP_TARGET"):
        yield given
        return
    command = [sys.executable, "-m", "support.api"]
    with subprocess.Popen(
        command, cwd=HERE.parent, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as node:
        assert node.stdout is not None
        yield node.stdout.readline().strip()
        node.communicate(timeout=20)  # Its input ends: it stops by itself.
    assert node.returncode == 0


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def protoc(destination: Path, *options: str, path: str = "") -> None:
    env = {"PATH": f"{path}{os.pathsep}{os.environ['PATH']}"} if path else None
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{PROTO}", *options, *FILES]
    run(command, cwd=destination, env=env)


def check(seen: Mapping[str, object], *, height_before: int) -> None:
    """Check the walk: success, each height once and in order, and the newest block not older."""
    heights, hashes, found = seen["heights"], seen["hashes"], seen["found"]
    latest = seen["latest"]
    assert isinstance(heights, list)
    assert isinstance(hashes, list)
    assert isinstance(found, int)
    assert isinstance(latest, dict)
    assert seen["success"] is True
    assert heights == list(range(1, found + 1))
    assert found > height_before, "the transaction is in a block that came after it"
    assert all(len(one) == 64 for one in hashes)
    assert len(set(hashes)) == len(hashes)
    assert latest["height"] >= found
    if latest["height"] == found:
        assert latest["hash"] == hashes[-1]


def walk_in_python(tmp_path: Path, target: str) -> Mapping[str, object]:
    protoc(tmp_path, "--python_out=.", "--grpc_python_out=.")
    tx = f"interop-{secrets.token_hex(8)}=python"
    command = [sys.executable, str(HERE / "reference_client.py"), target, tx]
    answer: Mapping[str, object] = json.loads(run(command, cwd=tmp_path, env={"PYTHONPATH": str(tmp_path)}))
    return answer


@pytest.mark.slow
def test_python_client_of_the_reference(tmp_path: Path, target: str) -> None:
    first = walk_in_python(tmp_path, target)
    check(first, height_before=0)
    again = walk_in_python(tmp_path, target)
    height = first["found"]
    assert isinstance(height, int)
    check(again, height_before=height)
    both = zip(first["hashes"], again["hashes"], strict=False)  # type: ignore[call-overload]
    assert all(one == two for one, two in both), "a final block never changes"


@pytest.mark.slow
def test_go_client_of_the_reference(tmp_path: Path, target: str) -> None:
    go = command("go", "GO")
    module = tmp_path / "module"
    shutil.copytree(HERE / "go", module)
    (module / "blockchain").mkdir()
    plugins = tmp_path / "bin"
    for plugin in PLUGINS:
        run([go, "install", plugin], cwd=tmp_path, env={"GOBIN": str(plugins)})
    names = ",".join(f"M{file}={MODULE}/blockchain" for file in FILES)
    protoc(
        module,
        *("--go_out=.", f"--go_opt=module={MODULE}", f"--go_opt={names}"),
        *("--go-grpc_out=.", f"--go-grpc_opt=module={MODULE}", f"--go-grpc_opt={names}"),
        path=str(plugins),
    )
    run([go, "vet", "./..."], cwd=module)
    run([go, "build", "-o", "interop", "."], cwd=module)
    tx = f"interop-{secrets.token_hex(8)}=go"
    check(json.loads(run([str(module / "interop"), target, tx], cwd=module)), height_before=0)
