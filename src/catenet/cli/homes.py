"""Making homes: keys, certificates, genesis and configuration of every node of a network."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from catenet.chain.genesis import Genesis, GenesisError, GenesisValidator
from catenet.chain.keys import PrivateKey, key_file_json, node_key_json
from catenet.cli.places import Network, NodePlace, write_network
from catenet.cli.shape import USAGE, Failure
from catenet.node.config import (
    TLS_CA,
    TLS_CERTIFICATE,
    TLS_KEY,
    Endpoint,
    ListenConfig,
    NodeConfig,
    PeerConfig,
    RpcConfig,
    to_toml,
)
from catenet.security.ca import KeyPair, issue_node, make_ca, spiffe_id, write_pair
from catenet.storage.home import Home, write_file, write_private

LOOPBACK = "127.0.0.1"
ANY = "0.0.0.0"
PORT_PLAINTEXT, PORT_TLS, PORT_PEER, PORT_RPC = 50051, 50151, 26656, 26657
PEER_STEP = 10
"""Between the peer ports of two nodes of one machine, and between their JSON-RPC ports."""

POWER = 10
"""Never 1: the weighted median of three equal powers of 1 may pick the lowest (consensus.md 2.5)."""

PORT_STEP = 1000
"""Moves all ports of one machine without two of them meeting."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Where the nodes of a network listen."""

    count: int
    port_offset: int = 0
    hosts: tuple[str, ...] = ()
    """One host for each node; empty: all on this machine, each with ports of its own (product.md 2)."""
    plaintext: bool = True
    """Also listen for clients without TLS, on loopback."""

    def peer(self, index: int) -> Endpoint:
        """Return where others reach a node's peer port."""
        if self.hosts:
            return Endpoint(self.hosts[index], PORT_PEER + self.port_offset)
        return Endpoint(LOOPBACK, PORT_PEER + PEER_STEP * index + self.port_offset)

    def listen(self, index: int) -> ListenConfig:
        """Return where a node listens."""
        shift = self.port_offset + (0 if self.hosts else index)
        host = ANY if self.hosts else LOOPBACK
        return ListenConfig(
            peer=replace(self.peer(index), host=host),
            public_plaintext=Endpoint(LOOPBACK, PORT_PLAINTEXT + shift) if self.plaintext else None,
            public_tls=Endpoint(host, PORT_TLS + shift),
        )

    def rpc(self, index: int) -> Endpoint | None:
        """Return where a node serves JSON-RPC: without TLS, so on loopback; None: not at all."""
        shift = self.port_offset + (0 if self.hosts else PEER_STEP * index)
        return Endpoint(LOOPBACK, PORT_RPC + shift)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    name: str
    vote_key: PrivateKey
    node_key: PrivateKey


def make_network(folder: Path, *, chain_id: str, layout: Layout, power: int = POWER) -> Network:
    """Make the homes `node0`, `node1`, ... in a folder. Fails when there is something in the way."""
    # Everything that can be refused is refused before anything is written.
    spiffe_id(chain_id=chain_id, name="node0")
    folder = folder.resolve()
    now_ns = time.time_ns()
    members = [_member(f"node{index}") for index in range(layout.count)]
    genesis = _genesis(members, chain_id=chain_id, power=power, now_ns=now_ns)
    homes = [Home(folder / member.name) for member in members]
    for home in homes:
        if home.root.exists():
            raise Failure(f"{home.root} is there already; choose another folder, or remove it first")
    if (folder / "ca").exists():
        raise Failure(f"{folder / 'ca'} is there already; choose another folder, or remove it first")
    folder.mkdir(parents=True, exist_ok=True)
    ca = _authority(folder, chain_id, now_ns)
    for index, (home, member) in enumerate(zip(homes, members, strict=True)):
        hosts = (layout.hosts[index],) if layout.hosts else ()
        _write_home(home, member, genesis, _config(index, members, layout))
        _write_tls(home, member, ca, chain_id=chain_id, now_ns=now_ns, hosts=hosts)
    network = Network(home=folder, chain_id=chain_id, nodes=_places(members, layout), ca="ca/ca.pem")
    write_network(network)
    return network


def make_home(root: Path, *, chain_id: str, name: str, layout: Layout, power: int = POWER) -> NodeConfig:
    """Make one home: a network of one validator. Fails when there is one already."""
    home = Home(root)
    if home.config.exists():
        raise Failure(f"{root} is a home already; choose another --home")
    spiffe_id(chain_id=chain_id, name=name)
    member, now_ns = _member(name), time.time_ns()
    ca = make_ca(chain_id=chain_id, now_ns=now_ns)
    config = _config(0, [member], layout)
    _write_home(home, member, _genesis([member], chain_id=chain_id, power=power, now_ns=now_ns), config)
    _write_tls(home, member, ca, chain_id=chain_id, now_ns=now_ns, hosts=layout.hosts)
    write_private(home.config / "tls" / "ca.key", ca.key)
    return config


def ports_of(network: Network) -> list[int]:
    """Return every port that the nodes of a network listen on."""
    addresses = [
        text for node in network.nodes for text in (node.plaintext, node.tls, node.peer, node.rpc) if text
    ]
    return [Endpoint.parse(text).port for text in addresses]


def ports_of_layout(layout: Layout) -> list[int]:
    """Return every port of this machine that a layout uses."""
    places = [(layout.listen(index), layout.rpc(index)) for index in range(layout.count)]
    ends = [
        end for place, rpc in places for end in (place.peer, place.public_plaintext, place.public_tls, rpc)
    ]
    return [end.port for end in ends if end is not None]


def _member(name: str) -> _Member:
    return _Member(
        name=name, vote_key=PrivateKey(secrets.token_bytes(32)), node_key=PrivateKey(secrets.token_bytes(32))
    )


def _authority(folder: Path, chain_id: str, now_ns: int) -> KeyPair:
    ca = make_ca(chain_id=chain_id, now_ns=now_ns)
    place = folder / "ca"
    place.mkdir(mode=0o700, exist_ok=True)
    write_pair(ca, certificate_path=place / "ca.pem", key_path=place / "ca.key")
    return ca


def _genesis(members: Sequence[_Member], *, chain_id: str, power: int, now_ns: int) -> Genesis:
    validators = tuple(
        GenesisValidator(
            address=member.vote_key.public.address,
            public_key=member.vote_key.public,
            power=power,
            name=member.name,
        )
        for member in members
    )
    genesis = Genesis(genesis_time_ns=now_ns, chain_id=chain_id, validators=validators)
    try:
        # The nodes will read the text; what they would refuse is refused here.
        Genesis.from_json(genesis.to_json()).check_bounds()
    except GenesisError as error:
        raise Failure(str(error), USAGE) from None
    return genesis


def _config(index: int, members: Sequence[_Member], layout: Layout) -> NodeConfig:
    peers = tuple(
        PeerConfig(
            address=member.vote_key.public.address.hex().upper(),
            name=member.name,
            host=layout.peer(other).host,
            port=layout.peer(other).port,
        )
        for other, member in enumerate(members)
        if other != index
    )
    return NodeConfig(
        name=members[index].name,
        listen=layout.listen(index),
        rpc=RpcConfig(listen=layout.rpc(index)),
        peers=peers,
    )


def _write_home(home: Home, member: _Member, genesis: Genesis, config: NodeConfig) -> None:
    home.create()
    write_file(home.genesis, genesis.to_json().encode())
    write_file(home.settings, to_toml(config).encode())
    write_private(home.validator_key, key_file_json(member.vote_key).encode())
    write_private(home.node_key, node_key_json(member.node_key).encode())


def _write_tls(
    home: Home, member: _Member, ca: KeyPair, *, chain_id: str, now_ns: int, hosts: tuple[str, ...]
) -> None:
    pair = issue_node(ca, chain_id=chain_id, name=member.name, now_ns=now_ns, hosts=hosts)
    write_file(home.config / TLS_CA, ca.certificate)
    write_file(home.config / TLS_CERTIFICATE, pair.certificate)
    write_private(home.config / TLS_KEY, pair.key)


def _places(members: Sequence[_Member], layout: Layout) -> tuple[NodePlace, ...]:
    places = []
    for index, member in enumerate(members):
        listen, host = layout.listen(index), layout.peer(index).host
        tls = replace(listen.public_tls, host=host) if listen.public_tls else ""
        places.append(
            NodePlace(
                name=member.name,
                home=member.name,
                plaintext=str(listen.public_plaintext or ""),
                tls=str(tls),
                peer=str(layout.peer(index)),
                rpc=str(layout.rpc(index) or ""),
            )
        )
    return tuple(places)
