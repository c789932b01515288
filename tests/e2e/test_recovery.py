"""Homes that lost something, were moved, or are old: real nodes come back and never sign twice.

What a validator signed is read out of the journals of all, and of what was put aside: two different votes for
one height, round and step must not be in them.
"""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from catenet.chain.block import Block as ChainBlock
from catenet.chain.commit import Commit
from catenet.storage import inspect
from catenet.storage.frame import HEADER_BYTES
from catenet.storage.home import Home
from catenet.types.records import RejoinRecord
from support.audit import signed_by
from support.cluster import HOST, Cluster, cluster, free_ports, wait_signature
from support.journals import conflicts, own_votes, records_of
from support.load import check_once, settled_chain, submitting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

FAILURE, CHECK_FAILED = 1, 4
SETTINGS = ("consensus.propose_timeout_ms=200", "consensus.precommit_timeout_ms=50")
BACK_S = 30.0
ALARMS = ("own-vote-unknown-here", "key-used-elsewhere")


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with cluster(tmp_path_factory.mktemp("recovery") / "net", settings=SETTINGS) as made:
        made.start()
        yield made


def catenet(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "catenet", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def done(*arguments: object) -> str:
    finished = catenet(*arguments)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def refused(net: Cluster, index: int, *words: str) -> None:
    """Start a node that must not start, and check what it says."""
    before = len(net.log(index))
    net.start(index)
    assert net.exit_code(index, within_s=20) == FAILURE
    said = net.log(index)[before:]
    for word in words:
        assert word in said, said


async def blocks_made(net: Cluster, count: int, *indices: int) -> int:
    """Have the named nodes make blocks; returns the height then reached."""
    chosen = indices or tuple(range(net.count))
    start = await net.head(*chosen)
    async with submitting([net.targets[i] for i in chosen], workers=2, pause_s=0.02, name=f"b{start}"):
        await net.wait_height(start + count, chosen[0], within_s=60)
    return await net.head(*chosen)


async def idle(net: Cluster) -> None:
    """Wait until node 0 has no reason for a block: nothing is signed at the height that it stands at."""
    await net.wait_status(
        0, lambda found: found.waiting_for == "transactions", within_s=BACK_S, what="nothing to do"
    )


async def signs_again(net: Cluster, index: int) -> int:
    """Wait under load until a commit holds the node's signature; returns the height."""
    others = [other for other in range(net.count) if other != index]
    await net.wait_status(index, lambda found: True, within_s=BACK_S, what="an answer")
    after = await net.head(*others)
    async with submitting(
        [net.targets[other] for other in others], workers=2, pause_s=0.02, name=f"s{time.monotonic_ns()}"
    ) as load:
        height = await wait_signature(net, index, after=after, within_s=BACK_S)
    check_once(await settled_chain(net), load)
    return height


async def evidence_in(net: Cluster) -> list[int]:
    """Return the heights of blocks that hold evidence."""
    chain = await net.agreed_chain(await net.head())
    return [block.height for block in chain if ChainBlock.decode(block.raw).evidence]


def test_an_old_copy_of_a_whole_home_is_noticed_and_never_signs_twice(net: Cluster, tmp_path: Path) -> None:
    async def body() -> None:
        await net.make_whole()
        await blocks_made(net, 3)
        assert net.stop(2) == [0]
        shutil.copytree(net.home(2), tmp_path / "backup")
        net.start(2)
        await net.make_whole()
        await blocks_made(net, 8)
        assert net.stop(2) == [0]
        # What it signed since the copy stays readable beside the copy.
        shutil.copytree(net.home(2), tmp_path / "newer")
        data = net.home(2) / "data"
        shutil.rmtree(data)
        shutil.copytree(tmp_path / "backup/data", data)
        net.start(2)
        signed = await signs_again(net, 2)
        assert net.events(2, "own-vote-unknown-here"), "it is said loudly"
        (rejoin,) = net.events(2, "rejoin")
        above = int(str(rejoin["signs_above"]))
        assert signed > above
        print(f"\nan old copy: signs above {above}, block {signed} has its signature")
        assert net.stop() == [0] * 4
        folders = [*(net.home(index) for index in range(4)), tmp_path / "newer"]
        assert not conflicts(folders)
        net.start()
        await net.make_whole()
        assert not await evidence_in(net)

    asyncio.run(body())


def test_a_home_that_lost_journal_and_guard_signs_only_after_a_rejoin(net: Cluster, tmp_path: Path) -> None:
    async def body() -> None:
        await net.make_whole()
        await blocks_made(net, 5)
        assert net.stop(3) == [0]
        shutil.copytree(net.home(3), tmp_path / "before")
        shutil.rmtree(net.home(3) / "data")
        command = f"catenet rejoin --home {net.home(3)}"
        refused(net, 3, "not_started", command)
        done(*command.split()[1:])
        committed = await blocks_made(net, 3, 0, 1, 2)
        net.start(3)
        signed = await signs_again(net, 3)
        assert signed >= committed + 3
        print(f"\nrejoined: {committed} was committed before, block {signed} has its signature")
        assert net.stop() == [0] * 4
        assert not conflicts([*(net.home(index) for index in range(4)), tmp_path / "before"])
        net.start()
        # It is known now: another restart waits for nobody.
        await net.make_whole()
        await signs_again(net, 3)
        assert not await evidence_in(net)

    asyncio.run(body())


def test_a_home_without_its_journal_signs_above_its_guard_only(net: Cluster, tmp_path: Path) -> None:
    async def body() -> None:
        await net.make_whole()
        await blocks_made(net, 3)
        net.kill(1)
        shutil.copytree(net.home(1), tmp_path / "before")
        shutil.rmtree(net.home(1) / "data/journal")
        ((guarded, _, kind),) = signed_by(Home(net.home(1)))
        net.start(1)
        signed = await signs_again(net, 1)
        assert net.events(1, "journal_or_guard_lost")
        assert net.stop() == [0] * 4
        barred = [record for record in records_of(net.home(1)) if isinstance(record, RejoinRecord)]
        (above,) = {record.height for record in barred}
        assert above == guarded
        # The guard's own vote is recorded again; everything else that was signed lies above.
        below = [vote for vote in own_votes(net.home(1)) if vote.height <= above]
        assert [vote.height for vote in below] == ([] if kind == "PROPOSAL" else [above])
        print(f"\nwithout its journal: guard at {above}, block {signed} has its signature")
        assert not conflicts([*(net.home(index) for index in range(4)), tmp_path / "before"])
        net.start()
        await net.make_whole()

    asyncio.run(body())


def test_an_application_ahead_of_a_repaired_home_is_made_again(net: Cluster) -> None:
    async def body() -> None:
        await net.make_whole()
        head = await blocks_made(net, 4)
        assert net.stop(0) == [0]
        path = net.home(0) / "data/blocks/0000000001.seg"
        data = bytearray(path.read_bytes())
        data[HEADER_BYTES + 20] ^= 1
        path.write_bytes(data)
        shutil.rmtree(net.home(0) / "data/journal")
        command = f"catenet repair --home {net.home(0)}"
        refused(net, 0, path.name, command)
        print("\n" + done(*command.split()[1:]))
        net.start(0)
        await net.wait_height(head, 0, within_s=BACK_S)
        (aside,) = net.events(0, "application_state_put_aside")
        # One more block may have been made before it stopped.
        assert aside["stored_height"] == 0
        assert int(str(aside["height"])) >= head
        signed = await signs_again(net, 0)
        statuses = [await net.status(index) for index in range(4)]
        hashes = {status.app_hash for status in statuses if status is not None and status.height >= signed}
        assert len(hashes) == 1, "the state made again is the same"

    asyncio.run(body())


def test_an_exported_sign_state_keeps_the_home_from_signing_until_it_is_back(
    net: Cluster, tmp_path: Path
) -> None:
    async def body() -> None:
        await net.make_whole()
        out = tmp_path / "priv_validator_state.json"
        running = catenet("keys", "export-state", "--home", net.home(3), "--output", out)
        assert running.returncode == FAILURE
        assert f"is in use by process {net.pid(3)}" in running.stderr
        assert net.stop(3) == [0]
        done("keys", "export-state", "--home", net.home(3), "--output", out)
        assert json.loads(out.read_text())["step"] == 3
        refused(net, 3, "was exported", "catenet keys import-state FILE")
        damaged = tmp_path / "damaged.json"
        damaged.write_text(out.read_text()[:-30])
        assert "damaged" in catenet("keys", "import-state", damaged, "--home", net.home(3)).stderr
        done("keys", "import-state", out, "--home", net.home(3))
        net.start(3)
        print(f"\nimported again: block {await signs_again(net, 3)} has its signature")

    asyncio.run(body())


@contextmanager
def twin_of(home: Path, log: Path) -> Iterator[None]:
    """Run a second node on a copied home, on other ports."""
    first, keys = free_ports(3), ("peer", "public_plaintext", "public_tls")
    ports = [flag for i, key in enumerate(keys) for flag in ("--set", f"listen.{key}={HOST}:{first + i}")]
    with log.open("wb") as file:
        command = [sys.executable, "-m", "catenet", "start", "--home", str(home), *ports]
        command += ["--with-parent", str(os.getpid())]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


async def eager(net: Cluster) -> int:
    """Return the node with the lowest address: it dials all others, and displaces a connected twin."""
    statuses = [await net.status(index) for index in range(net.count)]
    return min((status.address, index) for index, status in enumerate(statuses) if status is not None)[1]


def test_two_homes_with_one_key_are_noticed_and_a_double_signature_becomes_evidence(
    net: Cluster, tmp_path: Path
) -> None:
    async def body() -> None:
        await net.make_whole()
        await blocks_made(net, 3)
        index = await eager(net)
        others = [other for other in range(4) if other != index]
        assert net.stop(index) == [0]
        copy, said = tmp_path / "copy", tmp_path / "copy.log"
        shutil.copytree(net.home(index), copy)
        net.start(index)
        await net.make_whole()
        before = len(net.log(index))
        with twin_of(copy, said):
            async with submitting([net.targets[i] for i in others], workers=2, pause_s=0.02, name="twins"):
                await until(
                    lambda: any(alarm in said.read_text() + net.log(index)[before:] for alarm in ALARMS)
                )
                head = await blocks_made(net, 20, *others)
        words = said.read_text() + net.log(index)[before:]
        print(f"\ntwins until {head}: " + ", ".join(f"{alarm} {words.count(alarm)}" for alarm in ALARMS))
        await net.make_whole()
        await signs_again(net, index)
        guilty = await evidence_in(net)
        assert net.stop() == [0] * 4
        at_peers = conflicts([net.home(other) for other in others])
        signed = conflicts([*(net.home(other) for other in range(4)), copy])
        print(f"{len(signed)} places signed twice, {len(at_peers)} seen by peers, evidence at {guilty}")
        assert not at_peers or guilty
        net.start()
        await net.make_whole()

    asyncio.run(body())


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + BACK_S
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.05)


def damage_middle(folder: Path) -> None:
    """Change a byte in the middle of what a log holds."""
    path = max(folder.glob("*.seg"))
    data = bytearray(path.read_bytes())
    end = len(data.rstrip(b"\0"))
    data[HEADER_BYTES + (end - HEADER_BYTES) // 2] ^= 0x10
    path.write_bytes(data)


def test_the_only_validator_goes_on_after_a_repair_and_asks_before_it_forks(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net", count=1) as net:
            home = net.home(0)
            net.start()
            await net.wait_ready()
            head = await blocks_made(net, 8)
            await idle(net)
            before = await net.agreed_chain(head)
            net.kill()
            # All blocks are here: nothing that was signed is unknown, and no flag is needed.
            damage_middle(home / "data/journal")
            refused(net, 0, f"catenet repair --home {home}")
            done("repair", "--home", home)
            net.start()
            head = await blocks_made(net, 4)
            assert [block.raw for block in await net.agreed_chain(len(before))] == [b.raw for b in before]
            # Now blocks are lost, too: only the operator can say that they are to be made again.
            net.kill()
            damage_middle(home / "data/journal")
            damage_middle(home / "data/blocks")
            asked = catenet("repair", "--home", home)
            assert asked.returncode == CHECK_FAILED
            command = f"catenet repair --accept-fork --home {home}"
            assert command in asked.stderr
            refused(net, 0, command)
            done(*command.split()[1:])
            net.start()
            await net.wait_ready()
            (accepted,) = net.events(0, "fork_accepted")
            kept = int(str(accepted["height"]))
            assert 0 < kept < head
            after = await blocks_made(net, 4)
            chain = await net.agreed_chain(after)
            assert [block.height for block in chain] == list(range(1, after + 1))
            assert [block.raw for block in chain[:kept]] == [block.raw for block in before[:kept]]
            print(f"\nthe only validator: {head} blocks before, {kept} kept, {after} after")

    asyncio.run(body())


def test_the_only_validator_makes_its_last_block_again_in_another_round(tmp_path: Path) -> None:
    async def body() -> None:
        with cluster(tmp_path / "net", count=1) as net:
            home = net.home(0)
            net.start()
            await net.wait_ready()
            await blocks_made(net, 8)
            await idle(net)
            assert net.stop() == [0]
            shutil.copytree(home, tmp_path / "before")
            head = max(vote.height for vote in own_votes(home))
            # The journal is gone, and the block log ends before the block that was decided last.
            shutil.rmtree(home / "data/journal")
            whole = [
                group for group in inspect.groups(home / "data/blocks") if isinstance(group, inspect.Group)
            ]
            last = [group for group in whole if group.records][-1]
            os.truncate(last.file, last.offset)
            done("repair", "--accept-fork", "--home", home)
            net.start()
            await net.wait_height(head, within_s=BACK_S)
            await blocks_made(net, 3)
            again = (await net.agreed_chain(head))[-1]
            assert Commit.decode(again.commit).round == 1
            assert net.stop() == [0]
            assert not conflicts([home, tmp_path / "before"]), "no step was signed twice"

    asyncio.run(body())
