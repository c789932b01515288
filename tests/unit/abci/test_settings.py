"""Where a foreign application is, and where ours is served: what cannot be is refused with what to write."""

import subprocess
import sys
from pathlib import Path

import pytest

from catenet.node.config_file import ConfigError, parse
from support.cli import Terminal


@pytest.fixture
def catenet(capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(capsys)


def test_a_foreign_application_is_named_by_scheme_host_and_port() -> None:
    config = parse('proxy_app = "grpc://127.0.0.1:26658"\n[abci]\naway_timeout_ms = 500').config
    assert config.proxy_app == "grpc://127.0.0.1:26658"
    assert (config.abci.away_timeout_ms, config.abci.answer_timeout_ms) == (500, 60_000)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("tcp://127.0.0.1:26658", "the application is spoken to over gRPC: write grpc://host:port"),
        ("127.0.0.1:26658", "the application is spoken to over gRPC: write grpc://host:port"),
        ("kvstore", "the application is spoken to over gRPC: write grpc://host:port"),
        ("grpc://127.0.0.1", "expected host:port, for example 127.0.0.1:26656"),
        ("grpc://:26658", "expected host:port, for example 127.0.0.1:26656"),
        ("grpc://127.0.0.1:0x10", "expected host:port, for example 127.0.0.1:26656"),
    ],
)
def test_another_address_is_refused_with_its_place(address: str, said: str) -> None:
    with pytest.raises(ConfigError) as found:
        parse(f'name = "n"\nproxy_app = "{address}"', name="catenet.toml")
    assert str(found.value) == f'catenet.toml:2: `proxy_app` is "{address}"; {said}'


def test_serve_refuses_an_address_that_is_none(catenet: Terminal) -> None:
    assert catenet("abci", "serve", "kv", "--address", "somewhere") == 2
    assert "--address is somewhere; expected host:port" in catenet.err


@pytest.mark.slow
def test_serve_refuses_an_application_that_is_none(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "catenet", "abci", "serve", "nothing:Here", "--home", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert 'app = "nothing:Here": No module named' in done.stderr


def test_help_opens_with_an_example(catenet: Terminal) -> None:
    assert catenet("abci", "serve", "--help") == 0
    assert catenet.out.startswith("  $ catenet abci serve registry:Registry\n")
    assert "proxy_app" in catenet.out
