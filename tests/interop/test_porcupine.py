"""Porcupine and our checker judge alike. CATENET_REQUIRE_GO=1 makes a missing Go a failure."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from catenet.testing.linearizability import Operation, Verdict, check, write_history
from support.histories import histories, near_misses
from support.porcupine import judge, porcupine

HISTORIES = 200


@pytest.mark.slow
def test_porcupine_and_our_checker_judge_alike(tmp_path: Path) -> None:
    program = porcupine(tmp_path)
    made: list[list[Operation]] = []

    @given(history=histories(most=10, keys=("x", "y")) | near_misses(most=40))
    @settings(
        max_examples=HISTORIES,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def make(history: list[Operation]) -> None:
        made.append(history)

    make()
    files = [tmp_path / f"{number}.jsonl" for number in range(len(made))]
    for file, history in zip(files, made, strict=True):
        write_history(file, history)
    ours = [check(history).verdict for history in made]
    assert judge(program, files) == ours
    assert {Verdict.LINEARIZABLE, Verdict.VIOLATED} == set(ours)
    assert min(ours.count(verdict) for verdict in set(ours)) > HISTORIES // 10, "both kinds are tried"
