"""Raw bytes at every method of a real node, public and for peers: a clear refusal, and nothing else.

No call ends as UNKNOWN or INTERNAL or tells of an exception, no file stays open, and the node commits and
ends in good order afterwards. What the client asks to be committed is answered.
"""

import asyncio
import os
from collections.abc import Coroutine, Sequence
from pathlib import Path
from random import Random

import grpc
import pytest

from support.fuzzing.ports_of_node import FOLLOWING, MEMBERS, Attacker, fuzzed_node
from support.fuzzing.wire_targets import PUBLIC_METHODS, from_kind

pytestmark = pytest.mark.slow

SCALE = int(os.environ.get("CATENET_SCHEDULES", "1"))
CALLS = 60 * SCALE
"""Of each public method."""

ROUNDS = 8 * SCALE
"""Of each attacker."""

AT_ONCE = 16
STREAMS = ("/blockchain.Node/BroadcastTransactions", "/blockchain.Node/SubmitBatches")
BUGS = ("handler_failed", "escaped", "part_failed", "halted", "grpc_server_ended", "Traceback")
"""What the node writes into its log when it has met a bug."""


async def side_by_side(calls: Sequence[Coroutine[object, object, None]]) -> None:
    """Do calls, a few at a time."""
    gate = asyncio.Semaphore(AT_ONCE)

    async def one(call: Coroutine[object, object, None]) -> None:
        async with gate:
            await call

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))


def require_no_bug(log: str) -> None:
    assert '"event": "started"' in log
    assert [line for line in log.splitlines() if any(bug in line for bug in BUGS)] == []


def test_no_request_of_a_client_ends_in_a_bug(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        random = Random(1)
        async with fuzzed_node(tmp_path / "net") as node, grpc.aio.insecure_channel(node.public) as channel:
            for method, kind in PUBLIC_METHODS.items():
                make = from_kind(kind)
                counts = [1 + (method in STREAMS) * random.randrange(3) for _ in range(CALLS)]
                calls = [[make(random) for _ in range(count)] for count in counts]
                await side_by_side([node.call(channel, method, messages) for messages in calls])
                assert method in FOLLOWING or not node.ends["DEADLINE_EXCEEDED"], method
                node.ends["DEADLINE_EXCEEDED"] = 0
            assert node.ends["answered"] > CALLS
            assert node.ends["INVALID_ARGUMENT"] > CALLS

    asyncio.run(body())
    require_no_bug(capfd.readouterr().err)


def test_no_word_of_a_peer_ends_in_a_bug(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    async def body() -> None:
        async with fuzzed_node(tmp_path / "net") as node:
            attackers = [Attacker(node, index) for index in range(1, MEMBERS)]
            await side_by_side(
                [attacker.attack(Random(index), ROUNDS) for index, attacker in enumerate(attackers)]
            )
            assert node.ends["INVALID_ARGUMENT"] > ROUNDS
            assert sum(node.ends.values()) >= 6 * ROUNDS * len(attackers)

    asyncio.run(body())
    require_no_bug(capfd.readouterr().err)
