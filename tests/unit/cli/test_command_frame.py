"""How the command line answers: help, suggestions, exit codes, and what it costs to ask for help."""

import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from catenet.cli.root import COMMANDS, root
from catenet.cli.shape import EXIT_CODES, Command, Duration, Group
from support.cli import Terminal

HELP_CPU_S = 0.15


def every_command() -> list[tuple[str, click.Command]]:
    found: list[tuple[str, click.Command]] = []
    context = click.Context(root, info_name="catenet")
    for name in root.list_commands(context):
        command = root.get_command(context, name)
        assert command is not None
        found.append((name, command))
        if isinstance(command, Group):
            for child in command.list_commands(context):
                below = command.get_command(context, child)
                assert below is not None
                found.append((f"{name} {child}", below))
    return found


@pytest.mark.parametrize(("name", "command"), every_command())
def test_each_help_opens_with_an_example_and_ends_with_the_exit_codes(
    name: str, command: click.Command
) -> None:
    assert isinstance(command, Command | Group)
    text = command.get_help(click.Context(command, info_name=name))
    assert text.startswith("  $ catenet " + name.split()[0])
    assert EXIT_CODES in " ".join(text.split())


def test_help_lists_every_command_without_importing_it(catenet: Terminal) -> None:
    assert catenet("--help") == 0
    assert [name for name in COMMANDS if f"\n  {name} " not in catenet.out] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["tx", "sned", "a=b"], "did you mean `catenet tx send`?"),
        (["blok"], "did you mean `catenet block`?"),
        (["dev", "kil", "1"], "did you mean `catenet dev kill`?"),
        (["tx", "send", ""], "the transaction is empty"),
        (["tx", "send", "--hex", "xyz"], "'xyz' is not hex"),
        (["tx", "get", "1234"], "64 hex digits"),
        (["block", "zz"], "neither a height nor a hash"),
        (["block", "--limit", "-1"], "-1 is not in the range"),
        (["status", "--node", "nowhere"], "write HOST:PORT"),
        (["status", "--timeout", "5 parsecs"], "500ms, 3s or 2m"),
        (["config", "show", "--home", ".", "--set", "x"], "write KEY=VALUE"),
    ],
)
def test_a_wrong_call_is_code_2_and_says_what_to_write(
    catenet: Terminal, arguments: list[str], said: str
) -> None:
    assert catenet(*arguments) == 2
    assert said in catenet.err
    assert catenet.out == ""


def test_what_the_system_refuses_is_said_with_its_path(catenet: Terminal, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert catenet("init", "--home", tmp_path / "file" / "home") == 1
    assert catenet.err.startswith(f"error: {tmp_path}/file")
    assert "exists" in catenet.err
    assert len(catenet.err.splitlines()) == 1


def test_an_unreachable_node_is_code_3(catenet: Terminal) -> None:
    # Port 1 needs rights that no test has, so nothing listens there.
    assert catenet("status", "--node", "127.0.0.1:1", "--timeout", "300ms") == 3
    assert "127.0.0.1:1" in catenet.err
    assert "catenet dev" in catenet.err


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("3s", 3), ("2m", 120), ("1h", 3600), ("7", 7)]
)
def test_durations(text: str, seconds: float) -> None:
    assert Duration().convert(text, None, None) == seconds


@pytest.mark.slow
def test_help_costs_little() -> None:
    best = 1.0
    for _ in range(5):
        before = os.times()
        subprocess.run([sys.executable, "-m", "catenet", "--help"], check=True, capture_output=True)
        after = os.times()
        used = after.children_user + after.children_system - before.children_user - before.children_system
        best = min(best, used)
    assert best <= HELP_CPU_S
