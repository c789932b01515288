"""Acknowledged means kept: kill -9 of all four validators under load, again and again (reliability.md 1).

CATENET_KILL_ROUNDS says how often (3), CATENET_SEED which moments; `scripts/campaign-kill-all ROUNDS` is the
long form.
"""

import asyncio
import os
import random
import time
from pathlib import Path

import pytest

from support.cluster import cluster
from support.load import BATCH, check_once, settled_chain, submitting

pytestmark = [pytest.mark.e2e, pytest.mark.slow]

ROUNDS = int(os.environ.get("CATENET_KILL_ROUNDS", "3"))
RECOVERY_S = 20.0
WORKERS = 4
ON_THE_WAY = WORKERS * BATCH


def test_what_was_acknowledged_survives_kill_9_of_all_four(tmp_path: Path) -> None:
    seed = int(os.environ.get("CATENET_SEED", str(time.time_ns() % 1_000_000)))
    print(f"\nseed {seed}: CATENET_SEED={seed} has the same moments again")
    moments = random.Random(seed)

    async def body() -> None:
        with cluster(tmp_path / "net") as net:
            net.start()
            await net.wait_ready()
            async with submitting(net.targets, workers=WORKERS, timeout_s=60.0) as load:
                head = 0
                for number in range(ROUNDS):
                    await asyncio.sleep(moments.uniform(0.05, 1.5))
                    before = len(load.acknowledged)
                    order = moments.sample(range(4), 4)
                    net.kill(*order)
                    net.start(*moments.sample(range(4), 4))
                    # More than the acknowledgements that may have been on their way.
                    took = await load.wait_acknowledged(ON_THE_WAY + 1, within_s=RECOVERY_S)
                    former, head = head, await net.head()
                    assert head > former, "heights go on"
                    print(f"round {number + 1}: killed after {before} acks, going on {took:.2f} s later")
            blocks = await settled_chain(net)
            check_once(blocks, load)
            acknowledged = f"{len(load.acknowledged)} acknowledged"
            print(f"{ROUNDS} rounds: {acknowledged}, {len(blocks)} blocks, 0 lost, 0 twice")

    asyncio.run(body())
