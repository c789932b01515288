"""Where things are on this machine: folders (XDG), and the note that names the development network."""

import json
import os
from dataclasses import dataclass
from pathlib import Path

from catenet.cli.shape import Failure

NETWORK_FILE = "network.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePlace:
    """One node of a network on this machine."""

    name: str
    home: str
    plaintext: str
    """Public address without TLS; empty when there is none."""
    tls: str
    peer: str
    rpc: str = ""
    """Where it serves JSON-RPC; empty when it does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network whose homes lie in one folder."""

    home: Path
    chain_id: str
    nodes: tuple[NodePlace, ...]
    ca: str
    """PEM file of the authority, below `home`."""


def data_home() -> Path:
    """Return the folder for homes: $XDG_DATA_HOME/catenet."""
    return _xdg("XDG_DATA_HOME", ".local/share")


def cache_home() -> Path:
    """Return the folder for downloads: $XDG_CACHE_HOME/catenet."""
    return _xdg("XDG_CACHE_HOME", ".cache")


def state_home() -> Path:
    """Return the folder for notes: $XDG_STATE_HOME/catenet."""
    return _xdg("XDG_STATE_HOME", ".local/state")


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    base = Path(value) if value.startswith("/") else Path.home() / fallback
    return base / "catenet"


def write_network(network: Network) -> None:
    """Write `network.json` into the folder of the homes."""
    value = {
        "chain_id": network.chain_id,
        "ca": network.ca,
        "nodes": [
            {
                "name": n.name,
                "home": n.home,
                "plaintext": n.plaintext,
                "tls": n.tls,
                "peer": n.peer,
                "rpc": n.rpc,
            }
            for n in network.nodes
        ],
    }
    path = network.home / NETWORK_FILE
    path.write_text(json.dumps(value, indent=2) + "\n")


def read_network(home: Path) -> Network | None:
    """Read `network.json`; None when the folder holds none. Fails when it is damaged."""
    path = home / NETWORK_FILE
    try:
        value = json.loads(path.read_text())
        nodes = tuple(NodePlace(**{key: str(item) for key, item in node.items()}) for node in value["nodes"])
        return Network(home=home, chain_id=str(value["chain_id"]), nodes=nodes, ca=str(value["ca"]))
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Failure(f"{path} is damaged ({error}); delete it and run catenet testnet again") from None


def note_dev(home: Path) -> None:
    """Remember where the newest development network is, for `catenet dev kill` and the like."""
    state_home().mkdir(parents=True, exist_ok=True)
    (state_home() / "dev").write_text(f"{home.resolve()}\n")


def noted_dev() -> Path | None:
    """Return where the newest development network is, if its folder is still there."""
    try:
        home = Path((state_home() / "dev").read_text().strip())
    except OSError:
        return None
    return home if (home / NETWORK_FILE).exists() else None
