"""How much a test of faults tries: a sample in the suite, everything in a campaign; and the counts.

CATENET_FAULTS_S       seconds for each part of a campaign; without it, the suite's sample
CATENET_FAULTS_REPORT  a file that gets one JSON object a line with the counts of a part
CATENET_SEED           the order of a campaign, and its random places (1)
"""

import json
import os
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")

SEED = int(os.environ.get("CATENET_SEED", "1"))
_BUDGET = os.environ.get("CATENET_FAULTS_S")
IS_CAMPAIGN = _BUDGET is not None


def choices(what: str) -> random.Random:
    """Return the source of chance for one part: the same for the same seed."""
    return random.Random(f"{SEED} {what}")


class Part:
    """One part of a campaign: what is tried, and what came of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self._began = time.monotonic()

    def chosen(self, items: Sequence[T], *, sample: int) -> Iterator[T]:
        """Yield `sample` spread items; in a campaign all, in random order, while there is time."""
        self.counts["known"] += len(items)
        step = max(1, len(items) // sample)
        picked = list(items[step // 2 :: step])[:sample]
        if _BUDGET is not None:
            picked = list(items)
            choices(self.name).shuffle(picked)
        for item in picked:
            if _BUDGET is not None and time.monotonic() - self._began > float(_BUDGET):
                self.counts["left"] += 1
                continue
            self.counts["tried"] += 1
            yield item

    def report(self) -> None:
        """Say what came of it."""
        seconds = round(time.monotonic() - self._began, 1)
        line = json.dumps({"part": self.name, **self.counts, "seconds": seconds})
        print(f"\n{line}")
        if path := os.environ.get("CATENET_FAULTS_REPORT"):
            with open(path, "a", encoding="utf-8") as report:
                report.write(line + "\n")
