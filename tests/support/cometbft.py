"""Real CometBFT for tests: its binaries by `go install`, and nodes of it made, started, asked and ended.

A node here is `cometbft node` and nothing else. Tests skip where there is no Go, unless CATENET_REQUIRE_GO=1.
"""

import base64
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from catenet.chain.keys import node_id, parse_node_key
from catenet.cli.places import cache_home
from support.cluster import HOST, free_ports
from support.required import command

VERSION = "v0.38.26"
MODULE = "github.com/cometbft/cometbft"
INSTALL_S = 600
LOOK_S = 0.02
STOP_S = 15.0
TAIL_LINES = 25

Json = Mapping[str, object]
Setting = str | int | bool

SETTINGS: Mapping[str, Setting] = {
    "consensus.timeout_propose": "1s",
    "consensus.timeout_propose_delta": "250ms",
    "consensus.timeout_prevote": "250ms",
    "consensus.timeout_prevote_delta": "250ms",
    "consensus.timeout_precommit": "250ms",
    "consensus.timeout_precommit_delta": "250ms",
    "consensus.timeout_commit": "100ms",
    "consensus.peer_gossip_sleep_duration": "10ms",
    "p2p.addr_book_strict": False,
    "p2p.allow_duplicate_ip": True,
    "p2p.pex": False,
}
"""Quick blocks, and several nodes on one machine."""


class RpcError(Exception):
    """The node answered with an error: `code`, `message` and `data` as it sent them."""

    def __init__(self, code: int, message: str, data: str) -> None:
        super().__init__(f"{code} {message}: {data}")
        self.code, self.message, self.data = code, message, data


def cometbft_binary() -> Path:
    """Return the `cometbft` command, installed if need be; skips the test where that cannot be."""
    return _installed("cmd/cometbft")


def abci_cli_binary() -> Path:
    """Return the `abci-cli` command, installed if need be; skips the test where that cannot be."""
    return _installed("abci/cmd/abci-cli")


def go_binary() -> str:
    """Return the `go` command; skips the test where there is none, or fails it under CATENET_REQUIRE_GO=1."""
    return command("go", "GO")


@cache
def _installed(command: str) -> Path:
    folder = cache_home() / "go" / f"cometbft-{VERSION}"
    program = folder / command.rpartition("/")[2]
    if program.exists():
        return program
    go = go_binary()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        # Test runs side by side install once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            wanted = [go, "install", f"{MODULE}/{command}@{VERSION}"]
            env = {**os.environ, "GOBIN": str(folder)}
            done = subprocess.run(
                wanted, env=env, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False
            )
            assert done.returncode == 0, f"{' '.join(wanted)}\n{done.stdout}\n{done.stderr}"
    return program


def with_parent() -> list[str]:
    """Return what goes before a command so that Linux ends it with its parent, where that can be had."""
    found = shutil.which("setpriv")
    return [found, "--pdeathsig", "KILL"] if found else []


class RealNode:
    """One `cometbft` process over a home of its own. Use `real_nodes` to make some."""

    def __init__(self, home: Path, *, rpc_port: int, p2p_port: int) -> None:
        self.home = home
        self.rpc_port = rpc_port
        self.p2p_port = p2p_port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def rpc_url(self) -> str:
        """Where its JSON-RPC is, for clients."""
        return f"http://{HOST}:{self.rpc_port}"

    @property
    def node_id(self) -> str:
        key = parse_node_key((self.home / "config" / "node_key.json").read_text())
        return node_id(key.public)

    # Its files.

    def edit(self, settings: Mapping[str, Setting]) -> None:
        """Change `config.toml`: `section.key`, or `key` alone at the top; only keys that are there."""
        path = self.home / "config" / "config.toml"
        text = path.read_text()
        for name, value in settings.items():
            text = _with_setting(text, name, value)
        path.write_text(text)

    def genesis(self) -> dict[str, object]:
        return _object((self.home / "config" / "genesis.json").read_text())

    def write_genesis(self, genesis: Json) -> None:
        (self.home / "config" / "genesis.json").write_text(json.dumps(genesis, indent=2))

    # Its process.

    def start(self) -> None:
        """Start the process; `wait_height` says when it has blocks."""
        assert not self.running, f"{self.home} runs already"
        with self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [*with_parent(), str(cometbft_binary()), "node", "--home", str(self.home)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> int:
        """End the process in good order (SIGTERM); returns its exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_S)

    def kill(self) -> None:
        """End the process as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(STOP_S)

    def exit_code(self, *, within_s: float) -> int:
        """Wait until the process has ended by itself."""
        assert self._process is not None
        return self._process.wait(within_s)

    def close(self) -> None:
        """End the process, whatever state it is in."""
        if self.running:
            self.kill()

    @property
    def log_path(self) -> Path:
        return self.home / "node.log"

    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def tail(self) -> str:
        return f"--- {self.home.name} ---\n" + "\n".join(self.log().splitlines()[-TAIL_LINES:])

    # Its RPC.

    def rpc(self, method: str, /, *, timeout_s: float = 15.0, **params: object) -> dict[str, object]:
        """Call a method of JSON-RPC; returns `result`. Raises `RpcError`, `OSError` when nothing answers.

        Parameters are given as JSON has them: 64-bit integers as text, bytes as base64.
        """
        sent = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        answer = _object(self.post(sent.encode(), timeout_s=timeout_s).decode())
        if "error" in answer:
            error = answer["error"]
            assert isinstance(error, dict)
            raise RpcError(error["code"], error["message"], error.get("data", ""))
        result = answer["result"]
        assert isinstance(result, dict), result
        return result

    def post(self, body: bytes, *, timeout_s: float = 15.0) -> bytes:
        """Send bytes to the RPC port as they are; returns the body of the answer."""
        connection = HTTPConnection(HOST, self.rpc_port, timeout=timeout_s)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            return connection.getresponse().read()
        except HTTPException as error:
            raise ConnectionError(f"{self.rpc_url}: {error!r}") from error
        finally:
            connection.close()

    def height(self) -> int:
        """Return the newest height; 0 while nothing answers."""
        try:
            info = self.rpc("status", timeout_s=2.0)["sync_info"]
        except (OSError, RpcError):
            return 0
        assert isinstance(info, dict)
        return int(info["latest_block_height"])

    def wait(self, condition: Callable[[], bool], *, within_s: float = 30.0, what: str) -> None:
        """Wait until a condition holds; fails when the process ends or the time is over."""
        deadline = time.monotonic() + within_s
        pause = _Pause()
        while not condition():
            assert self.running, f"{self.home.name} ended while waiting for {what}\n{self.tail()}"
            assert time.monotonic() < deadline, f"not within {within_s:g} s: {what}\n{self.tail()}"
            pause()

    def wait_height(self, height: int, *, within_s: float = 30.0) -> None:
        """Wait until the node has a height."""
        self.wait(lambda: self.height() >= height, within_s=within_s, what=f"height {height}")

    def commit_tx(self, tx: bytes, *, timeout_s: float = 15.0) -> dict[str, object]:
        """Send a transaction and wait for its block (`broadcast_tx_commit`)."""
        return self.rpc("broadcast_tx_commit", tx=base64.b64encode(tx).decode(), timeout_s=timeout_s)

    def query(self, data: bytes, path: str = "") -> dict[str, object]:
        """Ask the application (`abci_query`); returns `response`."""
        response = self.rpc("abci_query", path=path, data=data.hex(), height="0", prove=False)["response"]
        assert isinstance(response, dict)
        return response


@contextmanager
def real_nodes(
    folder: Path,
    *,
    count: int = 1,
    chain_id: str = "real-net",
    apps: Sequence[str] = ("kvstore",),
    abci: str = "socket",
    settings: Mapping[str, Setting] | None = None,
    app_state: object = None,
) -> Iterator[list[RealNode]]:
    """Make validators of one network in a folder; nothing runs yet. On the way out all are ended.

    `apps`: the `proxy_app` of each node, or one for all; `kvstore` is CometBFT's own, in its process. With
    `abci="grpc"` an address is host:port: this version refuses `tcp://` there.
    """
    first = free_ports(2 * count)
    nodes = []
    for index in range(count):
        home = folder / f"real{index}"
        _make_home(home)
        node = RealNode(home, rpc_port=first + 2 * index, p2p_port=first + 2 * index + 1)
        nodes.append(node)
    genesis = _common_genesis(nodes, chain_id, app_state)
    for index, node in enumerate(nodes):
        node.write_genesis(genesis)
        others = [f"{other.node_id}@{HOST}:{other.p2p_port}" for other in nodes if other is not node]
        app = apps[index] if len(apps) > 1 else apps[0]
        ours: dict[str, Setting] = {
            "proxy_app": app,
            "abci": abci,
            "moniker": node.home.name,
            "rpc.laddr": f"tcp://{HOST}:{node.rpc_port}",
            "p2p.laddr": f"tcp://{HOST}:{node.p2p_port}",
            "p2p.persistent_peers": ",".join(others),
        }
        node.edit({**SETTINGS, **ours, **(settings or {})})
    try:
        yield nodes
    except BaseException:
        print("\n".join(node.tail() for node in nodes))
        raise
    finally:
        for node in nodes:
            node.close()


def _make_home(home: Path) -> None:
    command = [str(cometbft_binary()), "init", "--home", str(home)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def _common_genesis(nodes: Sequence[RealNode], chain_id: str, app_state: object) -> Json:
    genesis = nodes[0].genesis()
    validators = []
    for node in nodes:
        members = node.genesis()["validators"]
        assert isinstance(members, list)
        validators += members
    genesis |= {"chain_id": chain_id, "validators": validators}
    if app_state is not None:
        genesis["app_state"] = app_state
    return genesis


def _with_setting(text: str, name: str, value: Setting) -> str:
    section, _, key = name.rpartition(".")
    # JSON's scalars are TOML's.
    line = f"{key} = {json.dumps(value)}"
    head, found, rest = ("", True, text) if not section else _cut(text, section)
    body, mark, tail = rest.partition("\n[")
    changed, count = re.subn(rf"(?m)^{re.escape(key)} = .*$", lambda _: line, body, count=1)
    assert (found, count) == (True, 1), f"{name} is no setting of cometbft {VERSION}"
    return head + changed + mark + tail


def _cut(text: str, section: str) -> tuple[str, bool, str]:
    head, mark, rest = text.partition(f"\n[{section}]\n")
    return head + mark, bool(mark), rest


def _object(text: str) -> dict[str, object]:
    value = json.loads(text)
    assert isinstance(value, dict), value
    return value


class _Pause:
    """Waits a moment between two looks, longer each time, up to a fifth of a second."""

    def __init__(self) -> None:
        self._seconds = LOOK_S

    def __call__(self) -> None:
        time.sleep(self._seconds)
        self._seconds = min(0.2, self._seconds * 1.5)
