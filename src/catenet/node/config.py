"""The configuration of one node: a frozen tree of settings with their rules.

Only settings that an operator can have an opinion on live here, with their units in their names, and the
file that shows them; `node/config_file.py` reads it. What belongs to the chain (identity, first validators,
limits that all must share) is in the genesis file.
"""

import json
from collections.abc import Mapping
from dataclasses import Field, dataclass, field, fields
from ipaddress import ip_address
from typing import TypeVar, cast, get_type_hints

T = TypeVar("T")

FILE_NAME = "catenet.toml"
ENVIRONMENT = "CATENET_"

# Below HOME/config: the network's authority, and this node's certificate with its key (mode 0600).
TLS_CA = "tls/ca.pem"
TLS_CERTIFICATE = "tls/node.pem"
TLS_KEY = "tls/node.key"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to listen or to connect: `host:port`; an IPv6 address stands in brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        try:
            return self.host == "localhost" or ip_address(self.host).is_loopback
        except ValueError:
            return False

    @classmethod
    def parse(cls, text: str) -> "Endpoint":
        """Read `host:port`. Raises ValueError with what is expected."""
        host, _, port = text.rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or not port.isdecimal() or int(port) > 65535:
            raise ValueError("expected host:port, for example 127.0.0.1:26656")
        return cls(host, int(port))


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What a setting may be, and its line of help."""

    help: str
    low: int | None = None
    high: int | None = None
    choices: tuple[str, ...] = ()

    def fault(self, value: object) -> str:
        """Say what is wrong with a value of the right type; empty when nothing is."""
        if self.choices and value not in self.choices:
            return "expected one of " + ", ".join(self.choices)
        if isinstance(value, int) and self.low is not None and value < self.low:
            return f"the least is {self.low}"
        if isinstance(value, int) and self.high is not None and value > self.high:
            return f"the most is {self.high}"
        return ""


def _rule(text: str) -> Mapping[str, Rule]:
    return {"rule": Rule(help=text)}


def _setting(
    default: T, text: str, *, low: int | None = None, high: int | None = None, choices: tuple[str, ...] = ()
) -> T:
    made: T = field(default=default, metadata={"rule": Rule(help=text, low=low, high=high, choices=choices)})
    return made


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenConfig:
    """Where the node listens."""

    peer: Endpoint = field(
        default=Endpoint("127.0.0.1", 26656), metadata=_rule("other validators connect here (mTLS)")
    )
    public_plaintext: Endpoint | None = field(
        default=None, metadata=_rule('clients without TLS, loopback only; "" is off')
    )
    public_tls: Endpoint | None = field(
        default=Endpoint("127.0.0.1", 50151), metadata=_rule('clients with TLS; "" is off')
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RpcConfig:
    """CometBFT's JSON-RPC and WebSocket, for clients of the chain format."""

    listen: Endpoint | None = field(
        default=Endpoint("127.0.0.1", 26657),
        metadata=_rule('JSON-RPC and WebSocket; without TLS on loopback only; "" is off'),
    )
    tls_certificate: str = _setting("", 'PEM file, relative to the folder of this file; "" is no TLS')
    tls_key: str = _setting("", "its key, relative to the folder of this file")
    token_file: str = _setting("", 'file with the bearer token that clients must show; "" is none')
    body_bytes_max: int = _setting(1_000_000, "largest request", low=1024, high=64 << 20)
    batch_requests_max: int = _setting(10, "requests in one batch", low=1, high=1000)
    connections_max: int = _setting(900, "open connections", low=1, high=100_000)
    subscription_clients_max: int = _setting(100, "clients with subscriptions", low=0, high=10_000)
    subscriptions_max: int = _setting(5, "subscriptions of one client", low=0, high=1000)
    subscription_buffer: int = _setting(200, "events that wait for one slow client", low=1, high=10_000)
    commit_timeout_ms: int = _setting(10_000, "broadcast_tx_commit waits so long", low=100, high=600_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsensusConfig:
    """Timers of consensus.md 2.3 and 2.7, and the pace of Status frames (G1)."""

    propose_timeout_ms: int = _setting(1000, "wait for a proposal in round 0", low=10, high=10_000)
    prevote_timeout_ms: int = _setting(250, "wait for more prevotes in round 0", low=10, high=10_000)
    precommit_timeout_ms: int = _setting(250, "wait for more precommits in round 0", low=10, high=10_000)
    timeout_max_ms: int = _setting(10_000, "no round timer grows above this", low=100, high=60_000)
    min_block_interval_ms: int = _setting(20, "from one block to the next proposal", low=0, high=10_000)
    proof_delay_ms: int = _setting(200, "from work to the empty block that proves it", low=0, high=60_000)
    heartbeat_interval_ms: int = _setting(10_000, "longest time without a block; 0 is off", low=0)
    commit_grace_ms: int = _setting(0, "a proposer waits so long for late precommits", low=0, high=10_000)
    status_resend_ms: int = _setting(500, "Status frames while a block is due", low=50, high=10_000)
    status_idle_ms: int = _setting(5000, "Status frames while nothing is due", low=100, high=60_000)
    dead_proposer_shortcut: bool = _setting(True, "do not wait for a proposer whose connection is down")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchConfig:
    """Bounds of dissemination (consensus.md 5.2)."""

    seal_bytes: int = _setting(131_072, "a batch is sealed at this size", low=1024, high=262_144)
    seal_delay_ms: int = _setting(5, "a transaction waits at most so long for company", low=0, high=1000)
    window_batches: int = _setting(256, "own batches that are not in blocks yet", low=8, high=4096)
    window_bytes: int = _setting(16_777_216, "bytes of those batches", low=1_048_576, high=268_435_456)
    pipe_bytes: int = _setting(4_194_304, "unacknowledged bytes to one peer", low=262_144, high=67_108_864)
    tx_bytes_max: int = _setting(262_144, "largest transaction that is taken in", low=1, high=262_144)
    expire_heights: int = _setting(1000, "a batch dies after so many heights ...", low=16)
    expire_s: int = _setting(600, "... and so many seconds of block time", low=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkConfig:
    """Connections to other validators."""

    ping_interval_ms: int = _setting(
        5000, "application ping on each control connection", low=100, high=60_000
    )
    ping_misses: int = _setting(3, "missed pings that close a connection", low=1, high=100)
    reconnect_max_ms: int = _setting(1000, "longest wait before the next attempt", low=50, high=60_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class AbciConfig:
    """The application of `proxy_app`, which is a process of its own."""

    answer_timeout_ms: int = _setting(60_000, "the node stops when an answer takes longer", low=100)
    away_timeout_ms: int = _setting(60_000, "the node stops when it is away for longer", low=100)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeerConfig:
    """Another validator and where to find it: one `[[peers]]` each."""

    address: str = _setting("", "address of its vote key: 40 hex digits")
    name: str = _setting("", "its name, for people")
    host: str = _setting("", "where it listens for peers")
    port: int = _setting(26656, "its peer port", low=1, high=65535)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeConfig:
    """Everything a node is told besides its home and its genesis."""

    name: str = _setting("node", "name of this node, for people")
    app: str = _setting("kv", "application: kv, or module:Class")
    proxy_app: str = _setting("", "instead of app: grpc://host:port of an ABCI 2.0 application")
    log_format: str = _setting(
        "auto", "auto: text on a terminal, else JSON", choices=("auto", "text", "json")
    )
    log_level: str = _setting(
        "info", "least level that is logged", choices=("debug", "info", "warning", "error")
    )
    listen: ListenConfig = ListenConfig()
    rpc: RpcConfig = RpcConfig()
    consensus: ConsensusConfig = ConsensusConfig()
    batches: BatchConfig = BatchConfig()
    network: NetworkConfig = NetworkConfig()
    abci: AbciConfig = AbciConfig()
    peers: tuple[PeerConfig, ...] = ()


SECTIONS: Mapping[str, type] = {
    "listen": ListenConfig,
    "rpc": RpcConfig,
    "consensus": ConsensusConfig,
    "batches": BatchConfig,
    "network": NetworkConfig,
    "abci": AbciConfig,
}


def known_keys() -> dict[str, tuple[type, Rule]]:
    """Return every key but those of peers, with its type and rule, in the order of the file."""
    keys = {name: rule for name, rule in rules(NodeConfig).items()}
    for section, kind in SECTIONS.items():
        keys.update({f"{section}.{name}": rule for name, rule in rules(kind).items()})
    return keys


def environment_name(key: str) -> str:
    """Return the environment variable of a key: `batches.seal_bytes` is CATENET_BATCHES_SEAL_BYTES."""
    return ENVIRONMENT + key.replace(".", "_").upper()


def settings(config: NodeConfig) -> dict[str, object]:
    """Return every key but those of peers with its value."""
    values: dict[str, object] = {}
    for key in known_keys():
        section, _, name = key.rpartition(".")
        values[key] = getattr(getattr(config, section) if section else config, name)
    return values


def to_toml(config: NodeConfig) -> str:
    """Write a file that reads back as `config`: what is a default becomes a comment."""
    out = [
        "# Catenet node. Commented lines show the defaults. `catenet config show --origin` tells what holds.",
        "",
    ]
    defaults = settings(NodeConfig())
    current = ""
    for key, value in settings(config).items():
        section, _, name = key.rpartition(".")
        if section != current:
            out += ["", f"[{section}]"]
            current = section
        told = section == "listen" or key in ("name", "rpc.listen")
        mark = "# " if value == defaults[key] and not told else ""
        out.append(f"{mark}{name} = {toml_value(value)}  # {known_keys()[key][1].help}")
    for peer in config.peers:
        out += [
            "",
            "[[peers]]",
            *(f"{item.name} = {toml_value(getattr(peer, item.name))}" for item in fields(peer)),
        ]
    return "\n".join(out) + "\n"


def toml_value(value: object) -> str:
    """Write one value as TOML."""
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case None:
            return '""'
        case _:
            # JSON's escapes are a subset of TOML's.
            return json.dumps(str(value), ensure_ascii=False)


def rules(kind: type) -> dict[str, tuple[type, Rule]]:
    """Return type and rule of each setting of a section."""
    hints = cast("dict[str, type]", get_type_hints(kind))
    items = cast("tuple[Field[object], ...]", fields(kind))
    return {
        item.name: (hints[item.name], cast("Rule", item.metadata["rule"])) for item in items if item.metadata
    }
