"""What a node refuses to start on, what it cuts and goes on from, and what it does when the disk is full."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catenet.storage.frame import HEADER_BYTES
from support.cluster import HOST, Cluster, cluster, free_ports, wait_signature
from support.load import check_once, settled_chain, submitting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FAILURE, USAGE = 1, 2
DISK_BYTES = 24 << 20
LEFT_BYTES = 64 << 10


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("homes") / "net") as made:
        made.start()
        yield made


def catenet(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run one command; a node that starts against all expectation is ended by the time limit."""
    command = [sys.executable, "-m", "catenet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)


def copied(home: Path, to: Path) -> Path:
    """Copy a home's configuration, without its data."""
    shutil.copytree(home / "config", to / "config")
    return to


def other_ports() -> list[str]:
    """Return the flags that move a node to free ports."""
    first, keys = free_ports(3), ("peer", "public_plaintext", "public_tls")
    return [flag for i, key in enumerate(keys) for flag in ("--set", f"listen.{key}={HOST}:{first + i}")]


def test_a_taken_port_is_named_with_its_holder_and_a_free_one(net: Cluster, tmp_path: Path) -> None:
    asyncio.run(net.make_whole())
    done = catenet("start", "--home", copied(net.home(3), tmp_path / "home"))
    assert done.returncode == FAILURE
    for part in ("listen.peer is", net.peer(3), f"(pid {net.pid(3)})", "is free: --set listen.peer="):
        assert part in done.stderr
    assert not (tmp_path / "home/data").exists(), "nothing was written"


def test_a_second_process_on_one_home_is_refused(net: Cluster) -> None:
    asyncio.run(net.make_whole())
    done = catenet("start", "--home", net.home(3), *other_ports())
    assert done.returncode == FAILURE
    assert f"is in use by process {net.pid(3)}" in done.stderr
    assert "Stop that process" in done.stderr
    asyncio.run(net.make_whole())


@pytest.mark.parametrize(
    ("line", "parts"),
    [
        ("propose_timeout = 5", ("unknown key `consensus.propose_timeout`", "propose_timeout_ms`?")),
        ("propose_timeout_ms = 1", ("`consensus.propose_timeout_ms` is 1", "the least is 10")),
        ('propose_timeout_ms = "soon"', ('is "soon"', "expected a whole number")),
        ("propose_timeout_ms = = 1", ("not TOML",)),
    ],
)
def test_a_wrong_setting_is_named_with_file_line_and_advice(
    net: Cluster, tmp_path: Path, line: str, parts: tuple[str, ...]
) -> None:
    home = copied(net.home(3), tmp_path / "home")
    path = home / "config/catenet.toml"
    lines = path.read_text().splitlines()
    place = lines.index("[consensus]") + 1
    path.write_text("\n".join([*lines[:place], line, *lines[place:]]) + "\n")
    done = catenet("start", "--home", home)
    assert done.returncode == USAGE
    for part in (f"{path}:{place + 1}: ", *parts):
        assert part in done.stderr


def test_a_node_with_the_genesis_of_another_chain_never_takes_part(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        net.stop(3)
        path, kept = net.home(3) / "config/genesis.json", net.home(3) / "data"
        own = path.read_text()
        path.write_text(own.replace('"e2e-net"', '"other-net"'))
        kept.rename(kept.with_name("data.kept"))
        try:
            net.start(3)
            async with net.client(0) as client, submitting(net.targets[:3], name="other") as load:
                await load.wait_acknowledged(100, within_s=20)
                status = await client.status()
                assert not next(v for v in status.validators if v.name == "node3").connected
                stranger = await net.wait_status(
                    3, lambda s: s.chain_id == "other-net", within_s=10, what="up"
                )
                assert (stranger.height, stranger.power_connected) == (0, 10)
            deadline = time.monotonic() + 10
            while True:
                reasons = [str(entry.get("reason")) for entry in net.events(3, "peer_unreachable")]
                if any("other-net" in reason or "e2e-net" in reason for reason in reasons):
                    break
                assert time.monotonic() < deadline, reasons
                await asyncio.sleep(0.05)
            print(f"\nanother genesis: {reasons[-1]}")
        finally:
            net.kill(3)
            shutil.rmtree(kept, ignore_errors=True)
            kept.with_name("data.kept").rename(kept)
            path.write_text(own)
        await net.make_whole()

    asyncio.run(body())


def journal_end(home: Path) -> tuple[Path, bytearray, int]:
    """Return the last segment of a journal, its bytes, and how many of them are not the zeros ahead."""
    path = max((home / "data/journal").glob("*.seg"))
    data = bytearray(path.read_bytes())
    return path, data, len(data.rstrip(b"\0"))


def flip(path: Path, data: bytearray, at: int) -> None:
    data[at] ^= 0x10
    path.write_bytes(data)


async def work(net: Cluster, count: int, name: str) -> None:
    async with submitting(net.targets, name=name) as load:
        await load.wait_acknowledged(count, within_s=20)


async def signed_again(net: Cluster, index: int) -> int:
    """Wait under load until a commit holds the node's signature; returns the height."""
    async with submitting(net.targets, workers=2, name="sign"):
        return await wait_signature(net, index, after=await net.head(), within_s=20)


def test_a_torn_tail_is_cut_and_the_node_goes_on(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        await work(net, 200, "tail")
        net.kill(3)
        path, data, end = journal_end(net.home(3))
        flip(path, data, end - 1)
        net.start(3)
        await net.make_whole()
        print(f"\ntail cut; block {await signed_again(net, 3)} has its signature again")
        await net.agreed_chain(await net.head())

    asyncio.run(body())


def test_damage_in_the_middle_is_refused_and_repaired_by_the_named_command(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        await work(net, 200, "middle")
        net.kill(3)
        path, data, end = journal_end(net.home(3))
        flip(path, data, HEADER_BYTES + (end - HEADER_BYTES) // 2)
        before = len(net.log(3))
        net.start(3)
        assert net.exit_code(3, within_s=20) == FAILURE
        said = net.log(3)[before:]
        command = f"catenet repair --home {net.home(3)}"
        assert path.name in said
        assert command in said
        print(f"\n{said.strip()[-500:]}")
        assert path.read_bytes() == bytes(data), "a refusal changes nothing"
        done = catenet(*command.split()[1:])
        assert done.returncode == 0, done.stderr
        print(done.stdout)
        net.start(3)
        await net.make_whole()
        print(f"repaired; block {await signed_again(net, 3)} has its signature again")
        await net.agreed_chain(await net.head())

    asyncio.run(body())


@contextmanager
def small_disk(place: Path) -> Iterator[None]:
    """Put a small disk under a folder, with what is in the folder."""
    kept = place.with_name(place.name + ".kept")
    place.rename(kept)
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(place)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        if not mounted:
            pytest.skip("a small disk can be mounted by root only")
        shutil.copytree(kept, place, dirs_exist_ok=True)
        yield
    finally:
        if mounted:
            subprocess.run(["umount", str(place)], check=True)
        place.rmdir()
        kept.rename(place)


def test_a_full_disk_ends_the_node_with_a_word_and_the_others_go_on(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        net.stop(3)
        data = net.home(3) / "data"
        with small_disk(data):
            try:
                net.start(3)
                await net.wait_ready()
                free = os.statvfs(data)
                (data / "filler").write_bytes(bytes(free.f_bavail * free.f_frsize - LEFT_BYTES))
                before = len(net.log(3))
                async with submitting(net.targets[:3], name="disk", size=8000) as load:
                    code = await asyncio.to_thread(net.exit_code, 3, within_s=30)
                    assert code == FAILURE
                    await load.wait_acknowledged(50, within_s=10)
                said = net.log(3)[before:]
                assert '"event": "halted"' in said
                assert "No space left on device" in said
                print(f"\n{net.events(3, 'halted')[0].get('reason')}")
                check_once(await settled_chain(net), load)
            finally:
                net.kill(3)
        await net.make_whole()

    asyncio.run(body())
