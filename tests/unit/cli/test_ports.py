"""Ports: who has one, and which would be free."""

import os
import socket

import pytest

from catenet.cli.ports import free_offset, holder, is_free, require_free
from catenet.cli.shape import Failure
from support.cli import Terminal


def test_a_taken_port_is_named_with_its_holder_and_another_is_offered() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert not is_free(port)
        assert f"(pid {os.getpid()})" in holder(port)
        with pytest.raises(
            Failure, match=rf"port {port} is taken by .*pid {os.getpid()}.*--port-offset"
        ) as caught:
            require_free([port], step=-1 if port > 64000 else 1)
        assert "is free" in caught.value.message
        with pytest.raises(Failure, match=r"--port-offset 6\d*: \d+ is free"):
            require_free([port], offset=6000, step=-1 if port > 64000 else 1)
        with pytest.raises(Failure, match="stop that process first"):
            require_free([port], offset=None)
    assert is_free(port)
    require_free([port])


def test_a_port_shared_by_option_counts_as_taken() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not is_free(taken.getsockname()[1])


def test_an_offset_moves_all_ports() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        offset = free_offset([port - 40, port], step=7)
        assert offset
        assert is_free(port + offset)
        assert is_free(port - 40 + offset)


def test_start_says_who_has_its_port(catenet: Terminal, tmp_path: object) -> None:
    assert catenet("init", "--home", f"{tmp_path}/solo") == 0
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flag = f"listen.peer=127.0.0.1:{port}"
        assert catenet("start", "--home", f"{tmp_path}/solo", "--set", flag) == 1
        assert f"listen.peer is 127.0.0.1:{port}" in catenet.err
        assert f"pid {os.getpid()}" in catenet.err
        assert "is free: --set listen.peer=127.0.0.1:" in catenet.err


def test_start_refuses_an_address_of_another_machine(catenet: Terminal, tmp_path: object) -> None:
    assert catenet("init", "--home", f"{tmp_path}/solo") == 0
    assert catenet("start", "--home", f"{tmp_path}/solo", "--set", "listen.peer=192.0.2.1:26656") == 2
    assert "listen.peer is 192.0.2.1:26656, and 192.0.2.1 is no address of this machine" in catenet.err
