"""One flipped bit anywhere in a node's files is found or changes nothing; what is wrong is never served.

At the production's openers in a process of its own; a sample with a whole node. Two homes: one whose node was
killed, one that was closed. What was found names the file, the byte, and what to do.
"""

import asyncio
import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

from catenet.storage.home import Home
from catenet.types.errors import CatenetError
from support.campaign import IS_CAMPAIGN, Part, choices
from support.solo_process import Kept, Solo, solo
from support.storage import flip

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

HERE = Path(__file__).parents[1]
FLIPS = 1000 if IS_CAMPAIGN else 100
"""For each of the two homes."""

NODE_FLIPS = 60
HEIGHTS = 8
SAMPLE = 2
TXS, ROUNDS = 50, 6
NAMED = re.compile(
    r"/\S+: damaged at byte \d+: .*(catenet repair --home |Start the node again|catenet rejoin)"
)
"""What a message about damage must say: the file, the byte, what to do."""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Solo]:
    with solo(tmp_path_factory.mktemp("flips") / "net") as made:
        yield made


@pytest.fixture(scope="module")
def closed(node: Solo) -> Kept:
    """A home that was closed in good order."""
    return lived(node, "closed", killed=False)


@pytest.fixture(scope="module")
def killed(node: Solo, closed: Kept) -> Kept:
    """A home that was closed once, and whose node was killed after that."""
    node.go_back(closed)
    return lived(node, "killed", killed=True)


def lived(node: Solo, name: str, *, killed: bool) -> Kept:
    async def body() -> None:
        node.start()
        assert await node.work(2, name)
        async with node.net.client(0) as client:
            for number in range(ROUNDS):
                await client.submit([b"%s-%d-%d=%d" % (name.encode(), number, i, i) for i in range(TXS)])
        assert await node.work(1, f"{name}-last")

    asyncio.run(body())
    if killed:
        node.net.kill(0)
    else:
        assert node.stop() == 0
    return node.keep()


def places(data: Path, count: int) -> list[tuple[Path, int]]:
    """Return files and bits in them: each file as often as any other, zeros after a log's end left out."""
    files = sorted(path for path in data.rglob("*") if path.is_file() and path.name != "lock.mdb")
    chance = choices(f"flips {data.name}")
    found = []
    for _ in range(count):
        path = chance.choice(files)
        size = len(path.read_bytes().rstrip(b"\0")) if path.suffix == ".seg" else path.stat().st_size
        found.append((path.relative_to(data), chance.randrange(size * 8)))
    return found


@contextmanager
def bench(home: Home) -> Iterator["subprocess.Popen[str]"]:
    """Start a process that damages copies of a home (`support.flips`)."""
    command = [sys.executable, "-m", "support.flips", str(home.root)]
    with subprocess.Popen(
        command, cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as worker:
        try:
            yield worker
        finally:
            worker.kill()


@pytest.mark.parametrize("which", ["closed", "killed"])
def test_a_flipped_bit_is_found_or_changes_nothing(
    node: Solo, which: str, request: pytest.FixtureRequest
) -> None:
    kept: Kept = request.getfixturevalue(which)
    node.go_back(kept)
    part = Part(f"flipped bits, {which}")
    with bench(node.home) as worker:
        assert worker.stdin is not None
        assert worker.stdout is not None
        for file, bit in part.chosen(places(kept.data, FLIPS), sample=FLIPS):
            worker.stdin.write(f"data/{file} {bit}\n")
            worker.stdin.flush()
            line = worker.stdout.readline()
            assert line, f"{file}, bit {bit}: the process ended ({worker.wait()})"
            found = json.loads(line)
            assert not found["wrong"], f"{file}, bit {bit}: served {found['wrong'][0]}"
            part.counts[judged(found, f"{file}, bit {bit}")] += 1
    part.counts["served wrong"] += 0
    part.report()


def judged(found: dict[str, list[list[str]]], where: str) -> str:
    """Return what came of a flip at two starts; every message must name what it is about."""
    first, second = found["refused"]
    for message in [*first, *second]:
        assert NAMED.search(message), f"{where}: {message}"
    if second:
        return "refused"
    assert not found["open"][1], f"{where}: without a refusal, something has no answer"
    return "healed" if first or any(found["rebuilt"]) else "harmless"


async def answers(node: Solo, heights: int, txs: list[bytes]) -> dict[str, object]:
    """Ask a node for every block, and for every transaction with its proof and its effect.

    What is refused has no answer; nor has anything when the node does not start, or ends.
    """
    found: dict[str, object] = {}
    async with node.net.client(0, timeout_s=2.0) as client:

        async def ask(what: str, call: Callable[[], Awaitable[object]]) -> None:
            with contextlib.suppress(CatenetError, TimeoutError):
                found[what] = await call()

        while node.net.running(0) and "status" not in found:
            await ask("status", client.status)
        found.pop("status", None)
        for height in range(1, heights + 1):
            if node.net.running(0):
                await ask(f"block {height}", partial(client.block, height))
        for tx in txs:
            if node.net.running(0):
                tx_id, key = sha256(tx).digest(), tx.partition(b"=")[0]
                await ask(f"transaction {tx!r}", partial(client.transaction, tx_id, prove=True))
                await ask(f"key {tx!r}", partial(client.query, "/store", key))
    return found


async def try_node(node: Solo, kept: Kept, where: tuple[Path, int] | None, truth: dict[str, object]) -> str:
    """Start a node on a home with a flipped bit; returns what came of it."""
    node.go_back(kept)
    if where is not None:
        flip(node.home.data / where[0], where[1])
    node.start()
    found = await answers(node, HEIGHTS, [b"no=such", *map(bytes, kept.acknowledged)])
    code = node.stop()
    log = node.net.log(0)
    wrong = [what for what in found if truth and found[what] != truth[what]]
    assert not wrong, f"{where}: {wrong[0]} is {found[wrong[0]]}, and not {truth[wrong[0]]}"
    truth.update(found)
    if len(found) == len(truth) and code == 0:
        return "healed" if "_rebuilt" in log else "harmless"
    assert NAMED.search(log), f"{where}: {log}"
    return "refused"


def test_a_node_with_a_flipped_bit_serves_the_truth_or_says_what_is_wrong(node: Solo, killed: Kept) -> None:
    part = Part("flipped bits, with a node")

    async def body() -> None:
        truth: dict[str, object] = {}
        assert await try_node(node, killed, None, truth) == "harmless"
        assert len(truth) == HEIGHTS + 2 * (1 + len(killed.acknowledged))
        for where in part.chosen(places(killed.data, NODE_FLIPS), sample=SAMPLE):
            part.counts[await try_node(node, killed, where, truth)] += 1

    asyncio.run(body())
    part.counts["served wrong"] += 0
    part.report()
