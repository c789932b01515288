"""Reading a node's configuration: from text to the checked tree of `node/config.py`.

Where a value comes from: flag, then environment (`CATENET_` and the key), then `config/catenet.toml`, then
default. Every fault is a `ConfigError` with file, line, key, value and what to write instead.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import cast

from catenet.node.config import (
    ENVIRONMENT,
    FILE_NAME,
    SECTIONS,
    Endpoint,
    ListenConfig,
    NodeConfig,
    PeerConfig,
    RpcConfig,
    Rule,
    environment_name,
    known_keys,
    rules,
    toml_value,
)
from catenet.types.errors import InvalidInput


class ConfigError(InvalidInput):
    """A setting is wrong: the message says where it stands, what it is, and what to write instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A configuration, and for each key (`section.name`) where its value comes from."""

    config: NodeConfig
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """A value as it was written, and where."""

    value: object
    origin: str


def load(
    home: Path, *, environment: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> Loaded:
    """Read the configuration of a home. Raises `ConfigError`; a missing file is one."""
    path = home / "config" / FILE_NAME
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path} does not exist; make a home with: catenet init --home {home}") from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: byte {error.start} is not UTF-8") from None
    return parse(text, name=str(path), environment=environment, flags=flags)


def parse(
    text: str,
    *,
    name: str = FILE_NAME,
    environment: Mapping[str, str] | None = None,
    flags: Mapping[str, str] | None = None,
) -> Loaded:
    """Build the tree from a file's text, environment variables and flags (`section.name` to text)."""
    try:
        table = cast("dict[str, object]", tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"line (\d+)", str(error))
        raise ConfigError(f"{name}:{place[1] if place else 1}: not TOML: {error}") from None
    except (ValueError, RecursionError) as error:
        # A number of thousands of digits, lists a thousand deep: no place is known.
        raise ConfigError(f"{name}: cannot be read: {error}") from None
    lines = _Lines(text, name)
    raw_peers = table.pop("peers", [])
    written = _from_file(table, lines)
    written.update(_from_environment(environment or {}))
    written.update(_from_flags(flags or {}))
    known = known_keys()
    values = {key: _convert(key, value, *known[key]) for key, value in written.items()}
    config = _build(values, _peers(raw_peers, lines))
    _check_listen(config.listen, written)
    _check_proxy_app(config.proxy_app, written)
    _check_rpc(config.rpc, written)
    origins = {key: written[key].origin if key in written else "default" for key in known}
    return Loaded(config=config, origins=origins)


class _Lines:
    """Where each key of a TOML text stands, as far as one can tell without a full parser."""

    KEY = re.compile(r"""\s*["']?([A-Za-z0-9_.-]+)["']?\s*=""")
    TABLE = re.compile(r"""\s*(\[\[?)\s*["']?([A-Za-z0-9_.-]+)["']?\s*\]""")

    def __init__(self, text: str, name: str) -> None:
        self._name = name
        self._lines: dict[str, int] = {}
        prefix = ""
        peers = 0
        for number, line in enumerate(text.splitlines(), 1):
            if table := self.TABLE.match(line):
                prefix = table[2] + "."
                if table[1] == "[[":
                    prefix = f"{table[2]}[{peers}]."
                    peers += 1
                self._lines.setdefault(prefix.rstrip("."), number)
            elif key := self.KEY.match(line):
                self._lines.setdefault(prefix + key[1], number)

    def origin(self, key: str) -> str:
        """Return `file:line` of a key, or of the table that holds it."""
        while key not in self._lines and "." in key:
            key = key.rpartition(".")[0]
        line = self._lines.get(key)
        return f"{self._name}:{line}" if line else self._name


def _from_file(table: Mapping[str, object], lines: _Lines) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name, value in table.items():
        if name in SECTIONS and isinstance(value, dict):
            found.update({f"{name}.{key}": Value(value=item, origin="") for key, item in value.items()})
        elif name in SECTIONS:
            raise ConfigError(
                f"{lines.origin(name)}: `{name}` is a table: write [{name}] on a line of its own"
            )
        else:
            found[name] = Value(value=value, origin="")
    for key in found:
        _check_known(key, lines.origin(key))
    return {key: Value(value=item.value, origin=lines.origin(key)) for key, item in found.items()}


def _check_known(key: str, origin: str) -> None:
    keys = known_keys()
    if key in keys:
        return
    section, _, name = key.rpartition(".")
    # The same section first, then the name alone: a key in the wrong table is as likely as a typo.
    # A section is a guess only for what stands outside of all: `network` does not help with `network.foo`.
    close = get_close_matches(key, [*keys, *([] if section else ["peers", *SECTIONS])], n=1, cutoff=0.75)
    moved = [other for other in keys if other.rpartition(".")[2] == name]
    siblings = {other.rpartition(".")[2]: other for other in keys if other.rpartition(".")[0] == section}
    near = [siblings[other] for other in get_close_matches(name, siblings, n=1, cutoff=0.4)]
    guess = moved or close or near
    known = f"known here are {', '.join(siblings)}" if siblings else "see: catenet config show"
    advice = f"did you mean `{guess[0]}`?" if guess else known
    raise ConfigError(f"{origin}: unknown key `{key}`; {advice}")


def _from_environment(environment: Mapping[str, str]) -> dict[str, Value]:
    names = {environment_name(key): key for key in known_keys()}
    found: dict[str, Value] = {}
    for name, text in environment.items():
        if not name.startswith(ENVIRONMENT):
            continue
        if name in names:
            found[names[name]] = Value(value=_Text(text), origin=f"environment {name}")
        elif close := get_close_matches(name, names, n=1, cutoff=0.85):
            raise ConfigError(f"environment: unknown variable {name}; did you mean {close[0]}?")
    return found


def _from_flags(flags: Mapping[str, str]) -> dict[str, Value]:
    for key in flags:
        _check_known(key, "flag")
    return {key: Value(value=_Text(text), origin=f"flag --set {key}") for key, text in flags.items()}


class _Text(str):
    """A value from a place where everything is text."""

    __slots__ = ()


def _convert(key: str, written: Value, kind: type, rule: Rule) -> object:
    try:
        value = _typed(written.value, kind)
        fault = rule.fault(value)
    except ValueError as error:
        value, fault = written.value, str(error)
    if fault:
        shown = toml_value(written.value) if isinstance(written.value, str) else written.value
        raise ConfigError(f"{written.origin}: `{key}` is {shown}; {fault}")
    return value


def _typed(value: object, kind: type) -> object:
    if kind is bool:
        if isinstance(value, _Text) and value in ("true", "false"):
            return value == "true"
        if isinstance(value, bool):
            return value
        raise ValueError("expected true or false")
    if kind is int:
        if isinstance(value, _Text) and re.fullmatch(r"-?[0-9]{1,18}", value):
            return int(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        raise ValueError("expected a whole number")
    if not isinstance(value, str):
        raise ValueError("expected text in quotes")
    if kind is str:
        return str(value)
    if not value and isinstance(None, kind):
        return None
    return Endpoint.parse(value)


def _peers(raw: object, lines: _Lines) -> tuple[PeerConfig, ...]:
    known = rules(PeerConfig)
    if not isinstance(raw, list) or not all(isinstance(item, dict) for item in raw):
        raise ConfigError(f"{lines.origin('peers')}: `peers` is a list of tables: write [[peers]] for each")
    found: list[PeerConfig] = []
    for number, table in enumerate(raw):
        place = f"peers[{number}]"
        for key in table:
            if key not in known:
                close = get_close_matches(key, known, n=1, cutoff=0.5)
                advice = f"did you mean `{close[0]}`?" if close else "known are " + ", ".join(known)
                raise ConfigError(f"{lines.origin(f'{place}.{key}')}: unknown key `peers.{key}`; {advice}")
        values = {
            key: _convert(
                f"peers.{key}", Value(value=value, origin=lines.origin(f"{place}.{key}")), *known[key]
            )
            for key, value in table.items()
        }
        peer = cast("PeerConfig", _construct(PeerConfig, values))
        if not re.fullmatch(r"[0-9A-Fa-f]{40}", peer.address):
            raise ConfigError(
                f"{lines.origin(f'{place}.address')}: `peers.address` is {peer.address!r};"
                " expected 40 hex digits"
            )
        if not peer.host:
            raise ConfigError(
                f"{lines.origin(place)}: `peers.host` is missing; name where {peer.address} listens"
            )
        found.append(peer)
    return tuple(found)


def _construct(kind: type, values: Mapping[str, object]) -> object:
    made: object = kind(**values)
    return made


def _build(values: Mapping[str, object], peers: tuple[PeerConfig, ...]) -> NodeConfig:
    top: dict[str, object] = {key: value for key, value in values.items() if "." not in key}
    for section, kind in SECTIONS.items():
        head = section + "."
        top[section] = _construct(
            kind, {key.removeprefix(head): value for key, value in values.items() if key.startswith(head)}
        )
    return cast("NodeConfig", _construct(NodeConfig, {**top, "peers": peers}))


def _check_listen(listen: ListenConfig, written: Mapping[str, Value]) -> None:
    plain = listen.public_plaintext
    if plain is not None and not plain.loopback:
        raise ConfigError(
            f"{written['listen.public_plaintext'].origin}: `listen.public_plaintext` is {plain};"
            " without TLS only a loopback address is allowed: use 127.0.0.1,"
            " or listen.public_tls for other machines"
        )


def _check_proxy_app(address: str, written: Mapping[str, Value]) -> None:
    if not address:
        return
    scheme, found, place = address.rpartition("://")
    try:
        if not found or scheme != "grpc":
            raise ValueError("the application is spoken to over gRPC: write grpc://host:port")
        Endpoint.parse(place)
    except ValueError as error:
        raise ConfigError(f'{written["proxy_app"].origin}: `proxy_app` is "{address}"; {error}') from None


def _check_rpc(rpc: RpcConfig, written: Mapping[str, Value]) -> None:
    if rpc.listen is not None and not rpc.tls_certificate and not rpc.listen.loopback:
        raise ConfigError(
            f"{written['rpc.listen'].origin}: `rpc.listen` is {rpc.listen};"
            " without TLS only a loopback address is allowed: use 127.0.0.1,"
            " or set rpc.tls_certificate and rpc.tls_key"
        )
    if bool(rpc.tls_certificate) != bool(rpc.tls_key):
        given, missing = ("certificate", "key") if rpc.tls_certificate else ("key", "certificate")
        origin = written[f"rpc.tls_{given}"].origin
        raise ConfigError(
            f"{origin}: `rpc.tls_{given}` is set and rpc.tls_{missing} is not; set both, or none"
        )
