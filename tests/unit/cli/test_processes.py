"""Processes and their pid files: found while they run, not found afterwards, never confused with another."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from catenet.cli.processes import ProcessId, read_pid, requests, tail, write_pid
from support.cli import Terminal


def test_a_process_is_found_while_it_runs(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    write_pid(tmp_path / "run/node0.pid", child.pid)
    found = read_pid(tmp_path / "run/node0.pid")
    assert found is not None
    assert found.pid == child.pid
    child.send_signal(signal.SIGSTOP)
    os.waitpid(child.pid, os.WUNTRACED)
    assert found.paused
    child.send_signal(signal.SIGCONT)
    child.kill()
    child.communicate()
    assert not found.alive
    assert read_pid(tmp_path / "run/node0.pid") is None


def test_a_reused_number_is_another_process(tmp_path: Path) -> None:
    path = tmp_path / "node0.pid"
    write_pid(path, os.getpid())
    assert read_pid(path) == ProcessId.of(os.getpid())
    path.write_text(f"{os.getpid()} 1\n")
    assert read_pid(path) is None
    path.write_text("garbage")
    assert read_pid(path) is None


def test_a_request_is_answered_once(tmp_path: Path) -> None:
    for name in ("node2.start", "node0.start", "node1.pid", "nodeX.start"):
        (tmp_path / name).touch()
    assert list(requests(tmp_path, "start")) == [0, 2]
    assert list(requests(tmp_path, "start")) == []
    assert (tmp_path / "node1.pid").exists()


def test_the_end_of_a_log(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("first\nlast\n")
    assert tail(tmp_path / "log", 5) == "last"
    assert tail(tmp_path / "missing") == ""


def test_acting_on_no_network_says_how_to_start_one(catenet: Terminal) -> None:
    assert catenet("dev", "kill", "0") == 3
    assert "catenet dev" in catenet.err


def test_acting_on_a_network_that_does_not_run(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("testnet", "--output", tmp_path / "net", "--plaintext", "--port-offset", "3000") == 0
    for action in ("kill", "pause", "resume"):
        assert catenet("dev", action, "2", "--home", tmp_path / "net") == 1
        assert "node2 does not run; start it: catenet dev start 2" in catenet.err
    assert catenet("dev", "start", "2", "--home", tmp_path / "net") == 3
    assert f"catenet dev --home {tmp_path / 'net'}" in catenet.err
    assert catenet("dev", "kill", "4", "--home", tmp_path / "net") == 2
    assert "they are 0 to 3" in catenet.err
    assert catenet("dev", "status", "--home", tmp_path / "net") == 0
    assert catenet.out.count("not running") == 4
