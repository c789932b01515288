"""What concurrent clients see under a kill and a pause has one order in real time; planted bugs have none.

`scripts/campaign-linear RUNS OPERATIONS` is the long form, with more kinds of trouble.
"""

import asyncio
from pathlib import Path

import pytest

from catenet.testing.linearizability import Operation, Verdict, check, write_history
from catenet.types.errors import Unavailable
from catenet.types.events import Level
from support.cluster import Cluster, cluster
from support.porcupine import judge, porcupine
from support.recording import MakeCaller, Recording, SdkCaller, TwiceCaller
from support.repository import ROOT

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

APP = "app=support.registers:"
OPERATIONS = 1000
PLANTED_OPERATIONS = 400
RUN_S = 60.0


@pytest.fixture(autouse=True)
def _nodes_find_the_applications(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))


def test_answers_under_a_kill_and_a_pause_have_one_order_in_real_time(tmp_path: Path) -> None:
    async def trouble(net: Cluster, recording: Recording) -> None:
        for number, (step, index) in enumerate(
            [(net.kill, 1), (net.start, 1), (net.pause, 2), (net.resume, 2)], 1
        ):
            await recording.wait_done(number * OPERATIONS // 6)
            step(index)

    async def body(net: Cluster) -> list[Operation]:
        net.start()
        await net.wait_ready()
        recording = Recording(net.targets, OPERATIONS, seed=1)
        async with asyncio.timeout(RUN_S), asyncio.TaskGroup() as group:
            group.create_task(recording.run())
            group.create_task(trouble(net, recording))
        return recording.history

    with cluster(tmp_path / "net", settings=[APP + "Registers"]) as net:
        history = asyncio.run(body(net))
    write_history(tmp_path / "history.jsonl", history)
    report = check(history)
    assert report.operations == OPERATIONS
    assert report.verdict is Verdict.LINEARIZABLE, report.faults
    program = porcupine(tmp_path)
    assert judge(program, [tmp_path / "history.jsonl"]) == [Verdict.LINEARIZABLE]


def test_planted_bugs_are_found_by_both_checkers(tmp_path: Path) -> None:
    """Nodes 0 and 3 are sound, 1 answers stale reads, 2 shows what is not committed."""
    applications = ["Registers", "StaleRegisters", "EarlyRegisters", "Registers"]
    planted: dict[str, tuple[list[int], MakeCaller]] = {
        "no bug": ([0, 3], SdkCaller),
        "stale read": ([0, 1], SdkCaller),
        "read before commit": ([0, 2], SdkCaller),
        "retry applied twice": ([0, 3], TwiceCaller),
    }

    async def body(net: Cluster) -> dict[str, list[Operation]]:
        for index, name in enumerate(applications):
            net.start(index, settings=[APP + name])
        await net.wait_ready()
        found = {}
        for number, (name, (nodes, caller)) in enumerate(planted.items()):
            targets = [net.targets[index] for index in nodes]
            recording = Recording(targets, PLANTED_OPERATIONS, seed=number, caller=caller, name=f"{number}-")
            async with asyncio.timeout(RUN_S):
                await recording.run()
            found[name] = recording.history
        return found

    with cluster(tmp_path / "net") as net:
        histories = asyncio.run(body(net))
    expected = [Verdict.LINEARIZABLE, *[Verdict.VIOLATED] * 3]
    assert [check(history).verdict for history in histories.values()] == expected
    files = [tmp_path / f"{name}.jsonl" for name in histories]
    for file, history in zip(files, histories.values(), strict=True):
        write_history(file, history)
    assert judge(porcupine(tmp_path), files) == expected


def test_a_node_that_slept_answers_local_reads_with_old_state_and_no_others(tmp_path: Path) -> None:
    async def body(net: Cluster) -> None:
        net.start()
        await net.wait_ready()
        async with net.client(0) as client:
            await client.send(b"name=old", Level.COMMITTED)
        await net.wait_height(await net.head())
        net.kill(3)
        async with net.client(0) as client:
            written = await client.send(b"name=new", Level.COMMITTED)
        net.kill(0, 1, 2)
        net.start(3)
        await net.wait_status(3, lambda found: found.height >= 1, within_s=20, what="an answer")
        async with net.client(3, timeout_s=1.0) as sleeper:
            assert (await sleeper.query("/store", b"name")).value == b"old"
            with pytest.raises(Unavailable):
                await sleeper.query("/store", b"name", linearizable=True)
            with pytest.raises(Unavailable):
                await sleeper.query("/store", b"name", min_height=written.height)

    with cluster(tmp_path / "net") as net:
        asyncio.run(body(net))
