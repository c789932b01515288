"""Making homes: everything a node needs, private where it must be, and nothing when something is wrong."""

import json
import stat
from pathlib import Path

import pytest
from cryptography import x509

from catenet.chain.genesis import Genesis
from catenet.chain.keys import parse_key_file
from catenet.cli.homes import Layout, make_network, ports_of, ports_of_layout
from catenet.cli.places import note_dev, noted_dev, read_network
from catenet.cli.shape import Failure
from catenet.node.config import Endpoint
from catenet.node.config_file import load
from support.cli import Terminal

SECRET = {"priv_validator_key.json", "node_key.json", "node.key", "ca.key"}


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_testnet_makes_homes_that_belong_together(catenet: Terminal, tmp_path: Path) -> None:
    out = tmp_path / "net"
    assert catenet("testnet", "--output", out, "--chain-id", "abc", "--json") == 0
    made = json.loads(catenet.out)
    assert [Path(node["home"]).name for node in made["nodes"]] == ["node0", "node1", "node2", "node3"]
    texts = {(out / f"node{index}/config/genesis.json").read_text() for index in range(4)}
    assert len(texts) == 1
    genesis = Genesis.from_json(texts.pop())
    assert genesis.chain_id == "abc"
    assert [(member.name, member.power) for member in genesis.validators] == [
        (f"node{index}", 10) for index in range(4)
    ]
    for index in range(4):
        home = out / f"node{index}"
        config = load(home).config
        key = parse_key_file((home / "config/priv_validator_key.json").read_text())
        assert key.public == genesis.validators[index].public_key
        others = [member for member in genesis.validators if member.name != config.name]
        assert [bytes.fromhex(peer.address) for peer in config.peers] == [other.address for other in others]
        assert [peer.port for peer in config.peers] == [26656 + 10 * i for i in range(4) if i != index]
        assert config.listen.peer == Endpoint("127.0.0.1", 26656 + 10 * index)
        assert config.listen.public_tls == Endpoint("127.0.0.1", 50151 + index)
        assert config.listen.public_plaintext is None


def test_each_certificate_is_signed_by_the_authority_and_names_its_node(tmp_path: Path) -> None:
    make_network(tmp_path / "net", chain_id="abc", layout=Layout(count=2))
    ca = x509.load_pem_x509_certificate((tmp_path / "net/ca/ca.pem").read_bytes())
    for name in ("node0", "node1"):
        tls = tmp_path / "net" / name / "config/tls"
        assert (tls / "ca.pem").read_bytes() == (tmp_path / "net/ca/ca.pem").read_bytes()
        certificate = x509.load_pem_x509_certificate((tls / "node.pem").read_bytes())
        certificate.verify_directly_issued_by(ca)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
        assert uris == [f"spiffe://abc/node/{name}"]


def test_secret_files_are_readable_by_their_owner_only(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("testnet", "--output", tmp_path / "net") == 0
    assert catenet("init", "--home", tmp_path / "solo") == 0
    secret = [path for path in files(tmp_path) if path.name in SECRET]
    assert len(secret) == 4 * 3 + 1 + 4
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}
    assert "PrivKey" not in catenet.out + catenet.err


@pytest.mark.parametrize("chain_id", ["Bad Chain", "x" * 51, "x" * 300])
def test_a_refused_chain_id_leaves_nothing_behind(catenet: Terminal, tmp_path: Path, chain_id: str) -> None:
    assert catenet("testnet", "--output", tmp_path / "net", "--chain-id", chain_id) == 2
    assert catenet("init", "--home", tmp_path / "solo", "--chain-id", chain_id) == 2
    assert list(tmp_path.iterdir()) == []


def test_a_home_is_never_overwritten(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("testnet", "--output", tmp_path / "net") == 0
    before = {path: path.read_bytes() for path in files(tmp_path / "net")}
    assert catenet("testnet", "--output", tmp_path / "net") == 1
    assert "node0" in catenet.err
    assert catenet("init", "--home", tmp_path / "net/node0") == 1
    assert {path: path.read_bytes() for path in files(tmp_path / "net")} == before


def test_hosts_get_the_same_ports_on_each_machine(tmp_path: Path) -> None:
    layout = Layout(count=2, hosts=("a.example", "b.example"), plaintext=False)
    network = make_network(tmp_path / "net", chain_id="abc", layout=layout)
    assert [(node.peer, node.tls, node.plaintext) for node in network.nodes] == [
        ("a.example:26656", "a.example:50151", ""),
        ("b.example:26656", "b.example:50151", ""),
    ]
    config = load(tmp_path / "net/node0").config
    assert config.listen.peer == Endpoint("0.0.0.0", 26656)
    assert (config.peers[0].host, config.peers[0].port) == ("b.example", 26656)


def test_a_network_is_found_again(tmp_path: Path) -> None:
    network = make_network(tmp_path / "net", chain_id="abc", layout=Layout(count=4, port_offset=1000))
    assert read_network(tmp_path / "net") == network
    assert sorted(ports_of(network)) == sorted(ports_of_layout(Layout(count=4, port_offset=1000)))
    assert min(ports_of(network)) == 27656
    assert noted_dev() is None
    note_dev(tmp_path / "net")
    assert noted_dev() == tmp_path / "net"
    (tmp_path / "net/network.json").write_text("{")
    with pytest.raises(Failure, match=r"network\.json is damaged"):
        read_network(tmp_path / "net")


def test_keys_show_names_and_never_secrets(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("init", "--home", tmp_path / "solo") == 0
    assert catenet("keys", "show", "--home", tmp_path / "solo", "--json") == 0
    shown = json.loads(catenet.out)
    key = parse_key_file((tmp_path / "solo/config/priv_validator_key.json").read_text())
    assert shown["address"] == key.public.address.hex().upper()
    assert key.seed.hex() not in catenet.out


def test_a_key_that_others_can_read_is_refused(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("init", "--home", tmp_path / "solo") == 0
    (tmp_path / "solo/config/node_key.json").chmod(0o644)
    assert catenet("keys", "show", "--home", tmp_path / "solo") == 1
    assert "0644" in catenet.err


def test_a_new_key_never_replaces_one(catenet: Terminal, tmp_path: Path) -> None:
    assert catenet("keys", "new", "vote", "--output", tmp_path / "key") == 0
    before = (tmp_path / "key").read_bytes()
    assert catenet("keys", "new", "vote", "--output", tmp_path / "key") == 1
    assert (tmp_path / "key").read_bytes() == before


def test_config_show_says_where_each_value_comes_from(
    catenet: Terminal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "solo"
    assert catenet("init", "--home", home) == 0
    monkeypatch.setenv("CATENET_LOG_LEVEL", "debug")
    flag = "consensus.heartbeat_interval_ms=0"
    assert catenet("config", "show", "--home", home, "--json", "--set", flag) == 0
    shown = {
        line["key"]: (line["value"], line["origin"]) for line in map(json.loads, catenet.out.splitlines())
    }
    assert shown["log_level"] == ("debug", "environment CATENET_LOG_LEVEL")
    assert shown["consensus.heartbeat_interval_ms"] == (0, "flag --set consensus.heartbeat_interval_ms")
    assert shown["listen.peer"] == ("127.0.0.1:26656", f"{home}/config/catenet.toml:10")
    assert shown["app"] == ("kv", "default")
    assert catenet("config", "show", "--home", home, "--origin") == 0
    assert "environment CATENET_LOG_LEVEL" in catenet.out


def test_start_refuses_a_misspelt_setting_with_its_line(catenet: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "solo"
    assert catenet("init", "--home", home) == 0
    path = home / "config/catenet.toml"
    path.write_text(path.read_text().replace("peer =", "pear ="))
    assert catenet("start", "--home", home) == 2
    assert f"{path}:10" in catenet.err
    assert "did you mean `listen.peer`" in catenet.err


def test_an_unknown_setting_names_the_known_ones(catenet: Terminal, tmp_path: Path) -> None:
    home = tmp_path / "solo"
    assert catenet("init", "--home", home) == 0
    assert catenet("config", "show", "--home", home, "--set", "network.foo=1") == 2
    assert "known here are ping_interval_ms, ping_misses, reconnect_max_ms" in catenet.err


def test_the_ports_of_a_network_that_is_there_are_not_moved(catenet: Terminal, tmp_path: Path) -> None:
    folder = tmp_path / "network"
    assert catenet("testnet", "--output", folder, "--plaintext") == 0
    assert catenet("dev", "--home", folder, "--port-offset", 3000) == 1
    assert "--port-offset 3000 cannot move them" in catenet.err
