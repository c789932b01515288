"""A failing schedule is made small, kept in a file, replayed, told as lines and drawn as a page."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from catenet.testing.diagram import as_html, as_text
from catenet.testing.mutants import MUTANTS
from catenet.testing.mutants.bend import Bend
from catenet.testing.mutants.hunt import hunting_schedule
from catenet.testing.shrink import Found, Shrink, find, replay
from catenet.testing.simulator.config import SimulationConfig
from catenet.testing.simulator.profile import schedule_of
from catenet.testing.simulator.story import Line, Story
from catenet.types.errors import InvalidInput
from support.cli import Terminal

MUTANT = "prevote-twice"
SEEDS = 20
"""The fault is found within a few."""


@pytest.mark.slow
def test_a_failure_shrinks_to_less_of_the_same_and_replays_from_its_file() -> None:
    with Bend() as bend:
        MUTANTS[MUTANT].bend(bend)
        tries = (find(seed, hunting_schedule(seed)) for seed in range(SEEDS))
        found = next(each for each in tries if each is not None)
        steps: list[int] = []
        small = Shrink(found, runs=40, on_step=lambda best: steps.append(best.size)).run()
        assert small.invariant == found.invariant == "3"
        assert small.runs <= 40
        assert steps
        assert small.size < found.size / 2
        kept = Found.from_json(small.to_json())
        assert (kept.config, list(kept.choices)) == (small.config, list(small.choices))
        story = Story()
        again = replay(kept, story=story)
        assert again is not None
        assert again.fault == small.fault
        assert any(line.kind == "signs" and "prevote" in line.text for line in story.lines)
    # Without the planted fault the same schedule breaks nothing.
    assert replay(kept) is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 2}, "version 2; this program reads 1"),
        ({"config": {"colour": "red"}}, "has no 'colour'"),
        ({"config": {"validators": "four"}}, "validators of a schedule cannot be 'four'"),
        ({"choices": "x"}, "not a found schedule"),
        ({"seed": None}, "not a found schedule"),
    ],
)
def test_a_file_that_is_no_schedule_says_what_is_wrong(change: dict[str, object], said: str) -> None:
    whole = Found(seed=1, config=SimulationConfig(), choices=[1, 2], fault="x").to_json()
    with pytest.raises(InvalidInput, match=said):
        Found.from_json(json.dumps({**json.loads(whole), **change}))


def line(kind: str, node: int, *, peer: int = -1, text: str = "", at_us: int = 1_000) -> Line:
    return Line(sent_us=0, at_us=at_us, kind=kind, node=node, peer=peer, text=text)


LINES = [
    line("starts", 0),
    line("message", 0, peer=1, text="prevote 1/0 A"),
    line("lost", 1, peer=0, text="precommit 1/0 <B>"),
    line("crashes", 1),
]


def test_a_story_is_told_one_line_each() -> None:
    assert as_text(LINES).splitlines() == [
        "  0.001000 s  node 0 starts",
        "  0.001000 s  node 1 <- node 0  prevote 1/0 A  (1.0 ms)",
        "  0.001000 s  node 1 -x node 0  precommit 1/0 <B>  (lost)",
        "  0.001000 s  node 1 crashes",
    ]


def test_a_page_stands_alone_and_escapes_everything() -> None:
    page = as_html(LINES, title="Schedule <7>", fault="node & all", nodes=["node 0", "node 1 Silent"])
    assert page.startswith("<!doctype html>")
    assert "Schedule &lt;7&gt;" in page
    assert "node &amp; all" in page
    assert "&lt;B&gt;" in page
    assert "<B>" not in page
    assert "http" not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert page.count('class="down"') == 1
    assert page.count('class="lost"') == 1


def test_a_long_story_is_cut_at_its_beginning_and_says_so() -> None:
    page = as_html([replace(LINES[0], at_us=n) for n in range(2_100)], title="t", fault="", nodes=["node 0"])
    assert "The first 100 lines are left out." in page


@pytest.mark.slow
def test_a_seed_is_replayed_with_its_story_and_a_page(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    catenet = Terminal(capsys)
    page = tmp_path / "page.html"
    seed = next(seed for seed in range(1_000) if schedule_of(seed).traitors == ("silent",))
    assert catenet("simulate", "replay", seed, "--story", "--html", page, "--json") == 0
    answer = json.loads(catenet.out)
    assert len(answer["digest"]) == 64
    assert any("decides" in told for told in answer["lines"])
    assert " Silent<" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay", "nowhere.json"], "'nowhere.json' is neither a seed"),
        (["replay", "1", "--mutant", "x"], "no planted fault is called 'x'"),
        (["shrink", "-1"], "-1"),
    ],
)
def test_what_names_no_schedule_is_refused(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    catenet = Terminal(capsys)
    assert catenet("simulate", *arguments) == 2
    assert said in catenet.err


@pytest.mark.slow
def test_a_seed_that_breaks_nothing_cannot_be_made_smaller(capsys: pytest.CaptureFixture[str]) -> None:
    catenet = Terminal(capsys)
    assert catenet("simulate", "shrink", 7) == 4
    assert "breaks no invariant" in catenet.err
