"""The programs of docs/howto/use-it-from-javascript-go-rust.md run as they stand there."""

import asyncio
import re
import shutil
import subprocess
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

from support.cluster import cluster
from support.cometbft import go_binary
from support.cosmjs import installed
from support.repository import ROOT
from support.rustbuild import HERE as RUST
from support.rustbuild import built

PAGE = (ROOT / "docs" / "howto" / "use-it-from-javascript-go-rust.md").read_text(encoding="utf-8")
RUN_S = 300


def program(language: str) -> str:
    """Return the one program of a language on the page."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.S)
    return str(found)


def run_against_a_node(tmp_path: Path, command: Sequence[str], *, cwd: Path) -> str:
    """Run a command with a node's address as its last argument; returns what it prints."""

    async def scenario() -> str:
        with cluster(tmp_path / "net", count=1, chain_id="howto-net", with_rpc=True) as net:
            net.start()
            await net.wait_ready()
            done = await asyncio.to_thread(
                subprocess.run,
                [*command, net.rpc(0)],
                cwd=cwd,
                capture_output=True,
                text=True,
                timeout=RUN_S,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            return str(done.stdout)

    return asyncio.run(scenario())


@pytest.mark.slow
@pytest.mark.e2e
def test_the_program_in_javascript_runs(tmp_path: Path) -> None:
    place = installed()
    (place / "howto.mjs").write_text(program("js"), encoding="utf-8")
    said = run_against_a_node(tmp_path, ["node", "howto.mjs"], cwd=place)
    assert re.fullmatch(
        r"committed in block \d+\nproof over [1-9]\d* transactions\nthe value is hello\n", said
    )


@pytest.mark.slow
@pytest.mark.e2e
def test_the_program_in_go_runs(tmp_path: Path) -> None:
    go, module = go_binary(), tmp_path / "module"
    module.mkdir()
    for name in ("go.mod", "go.sum"):
        shutil.copy(ROOT / "tests" / "interop" / "gorpc" / name, module / name)
    (module / "main.go").write_text(program("go"), encoding="utf-8")
    said = run_against_a_node(tmp_path, [go, "run", "-mod=readonly", "."], cwd=module)
    assert re.fullmatch(r"committed in block \d+\nproof holds: true\n", said)


@pytest.mark.slow
@pytest.mark.e2e
def test_the_program_in_rust_runs(tmp_path: Path) -> None:
    said = run_against_a_node(tmp_path, [str(built({"main.rs": program("rust")}))], cwd=tmp_path)
    assert re.fullmatch(
        r"committed in block \d+\nthe validators signed it: [0-9A-F]{64}\nthe transaction is in it: true\n",
        said,
    )


def test_the_crates_on_the_page_are_those_of_the_test() -> None:
    ours = tomllib.loads((RUST / "Cargo.toml").read_text())["dependencies"]
    for name, wanted in tomllib.loads(program("toml"))["dependencies"].items():
        version, features = version_and_features(wanted)
        has, with_features = version_and_features(ours[name])
        assert has.removeprefix("=").startswith(version)
        assert features <= with_features


def version_and_features(entry: str | dict[str, object]) -> tuple[str, set[str]]:
    """Return what an entry of Cargo.toml asks for."""
    if isinstance(entry, str):
        return entry, set()
    features = entry["features"]
    assert isinstance(features, list)
    return str(entry["version"]), set(features)
