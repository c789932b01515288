"""Reading a configuration: what holds, where it comes from, and what is said about each fault."""

from dataclasses import replace
from pathlib import Path

import pytest

from catenet.node.config import (
    ConsensusConfig,
    Endpoint,
    ListenConfig,
    NodeConfig,
    PeerConfig,
    environment_name,
    known_keys,
    settings,
    to_toml,
)
from catenet.node.config_file import ConfigError, load, parse

PEER = PeerConfig(address="ab" * 20, name='the "second"\n', host="::1", port=26666)


def test_an_empty_file_gives_the_defaults() -> None:
    loaded = parse("")
    assert loaded.config == NodeConfig()
    assert set(loaded.origins.values()) == {"default"}
    assert list(loaded.origins) == list(known_keys())


def test_a_written_file_reads_back_as_the_same_tree() -> None:
    config = NodeConfig(
        name="node1",
        listen=ListenConfig(
            peer=Endpoint("::1", 1), public_plaintext=Endpoint("localhost", 2), public_tls=None
        ),
        consensus=ConsensusConfig(heartbeat_interval_ms=0, dead_proposer_shortcut=False),
        peers=(PEER, replace(PEER, name="third")),
    )
    assert parse(to_toml(config)).config == config
    assert parse(to_toml(NodeConfig())).config == NodeConfig()


def test_flags_win_over_environment_over_file_over_defaults() -> None:
    text = "[consensus]\nproof_delay_ms = 1\ncommit_grace_ms = 1\nprevote_timeout_ms = 11\n"
    loaded = parse(
        text,
        name="f.toml",
        environment={
            "CATENET_CONSENSUS_PROOF_DELAY_MS": "2",
            "CATENET_CONSENSUS_COMMIT_GRACE_MS": "2",
            "X": "1",
        },
        flags={"consensus.proof_delay_ms": "3", "consensus.dead_proposer_shortcut": "false"},
    )
    assert loaded.config.consensus == ConsensusConfig(
        proof_delay_ms=3, commit_grace_ms=2, prevote_timeout_ms=11, dead_proposer_shortcut=False
    )
    assert loaded.origins["consensus.proof_delay_ms"] == "flag --set consensus.proof_delay_ms"
    assert loaded.origins["consensus.commit_grace_ms"] == "environment CATENET_CONSENSUS_COMMIT_GRACE_MS"
    assert loaded.origins["consensus.prevote_timeout_ms"] == "f.toml:4"
    assert loaded.origins["consensus.propose_timeout_ms"] == "default"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('\nnaem = "x"', ["f.toml:2", "`naem`", "did you mean `name`?"]),
        (
            "[consensus]\n\npropose_timout_ms = 1",
            ["f.toml:3", "did you mean `consensus.propose_timeout_ms`?"],
        ),
        ("seal_bytes = 2048", ["f.toml:1", "`seal_bytes`", "did you mean `batches.seal_bytes`?"]),
        ("[consensos]\nx = 1", ["f.toml:1", "did you mean `consensus`?"]),
        ("listen = 1", ["f.toml:1", "[listen]"]),
        ("[batches]\nseal_bytes = 7", ["f.toml:2", "`batches.seal_bytes` is 7", "the least is 1024"]),
        ("[batches]\nseal_bytes = 300000", ["the most is 262144"]),
        ('[batches]\nseal_bytes = "x"', ["f.toml:2", 'is "x"', "expected a whole number"]),
        ("[batches]\nseal_bytes = true", ["is True", "expected a whole number"]),
        ("[consensus]\ndead_proposer_shortcut = 1", ["expected true or false"]),
        ("name = 3", ["f.toml:1", "is 3", "expected text"]),
        ('log_format = "jsonn"', ['is "jsonn"', "expected one of auto, text, json"]),
        ('[listen]\npeer = "26656"', ["f.toml:2", 'is "26656"', "host:port"]),
        ('[listen]\npeer = "h:99999"', ["host:port"]),
        ('[listen]\npeer = ""', ["host:port"]),
        ('[listen]\npublic_plaintext = "0.0.0.0:1"', ["f.toml:2", "0.0.0.0:1", "loopback"]),
        ("x = \n", ["f.toml:1", "not TOML"]),
        ("[[peers]]\naddress = 'ab'\nhost = 'h'", ["f.toml:2", "'ab'", "40 hex digits"]),
        (f"[[peers]]\naddress = '{'ab' * 20}'", ["f.toml:1", "`peers.host` is missing"]),
        (f"[[peers]]\naddress = '{'ab' * 20}'\nhost = 'h'\n[[peers]]\nhots = 'h'", ["f.toml:5", "`host`"]),
        ("[[peers]]\nport = 0", ["f.toml:2", "is 0", "the least is 1"]),
        ("peers = 3", ["f.toml:1", "[[peers]]"]),
    ],
)
def test_a_fault_is_named_with_file_line_key_and_advice(text: str, said: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, name="f.toml")
    assert [part for part in said if part not in str(caught.value)] == []


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"consensus.prof_delay_ms": "1"}, "did you mean `consensus.proof_delay_ms`?"),
        (
            {"consensus.proof_delay_ms": "1.5"},
            '--set consensus.proof_delay_ms: `consensus.proof_delay_ms` is "1.5"',
        ),
        ({"listen.public_plaintext": "10.0.0.1:1"}, "flag --set listen.public_plaintext"),
    ],
)
def test_a_wrong_flag_is_refused(flags: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse("", flags=flags)
    assert said in str(caught.value)


def test_a_misspelt_variable_is_refused_and_a_foreign_one_is_left_alone() -> None:
    assert parse("", environment={"CATENET_HOME": "/x"}).config == NodeConfig()
    with pytest.raises(ConfigError, match="did you mean CATENET_LOG_LEVEL"):
        parse("", environment={"CATENET_LOGLEVEL": "debug"})


def test_every_key_has_help_and_its_own_variable() -> None:
    assert all(rule.help for _, rule in known_keys().values())
    assert len({environment_name(key) for key in known_keys()}) == len(known_keys())
    assert list(settings(NodeConfig())) == list(known_keys())


def test_a_missing_file_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="catenet init --home"):
        load(tmp_path)


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "catenet.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match="byte 8 is not UTF-8"):
        load(tmp_path)
