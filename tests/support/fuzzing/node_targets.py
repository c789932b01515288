"""Readers of what an operator writes, of certificates, and of what anybody hands the application."""

import warnings
from collections.abc import Sequence
from functools import cache
from random import Random
from ssl import PEM_cert_to_DER_cert

from cryptography.utils import CryptographyDeprecationWarning

from catenet.apps.kv import KeyValue
from catenet.chain.block import encode_txs, split_txs
from catenet.chain.params import ConsensusParams
from catenet.cli.places import read_network
from catenet.cli.shape import Failure
from catenet.node.config import NodeConfig, environment_name, known_keys, to_toml
from catenet.node.config_file import ConfigError, parse
from catenet.security.identity import CertificateChecker
from catenet.testing.simulator.chain_store import MemoryState
from catenet.types.application import CommitInfo, FinalizeBlock, InitChain, Query, ValidatorUpdate
from catenet.types.errors import InvalidInput, Unauthenticated
from support.fuzzing.chain_targets import from_json, from_real
from support.fuzzing.corpus import TXS, certificates, settings_text
from support.fuzzing.mutation import bytes_altered, lines_altered, text_of
from support.fuzzing.storage_targets import folder
from support.fuzzing.targets import Target, anything, reading, settled
from support.fuzzing.values import chance, pick

TOML_VALUES = (
    *('""', "0", "-1", "true", "1.5", "[]", "{}", "1979-05-27", '"127.0.0.1:0"', '"[::1]:70000"', '":1"'),
    *(
        '"\\ud800"',
        '"\U0001f980"',
        "9" * 30,
        "0x" + "f" * 40,
        '"a\\nb"',
        "nan",
        "'''x",
        "[[peers]]",
        "[listen]",
    ),
    *("listen.peer", '"a:' + "9" * 5000 + '"', "[" * 30, "[" * 5000, "9" * 5000, "peers", "consensus"),
)


FLAG_VALUES = (
    *("", "0", "1", "-1", "true", "False", "kv", "debug", "١", "1_0", "9" * 5000, "::1:1", "a:b", "h:1"),
)


def node_targets() -> list[Target]:
    """Return the readers of files that people write, of certificates, and of transactions."""
    return [
        reading(
            "config.file",
            lambda random: lines_altered(settings_text(), random, TOML_VALUES),
            _read_config,
            errors=(ConfigError, UnicodeDecodeError),
            check=settled(_read_config, lambda config: to_toml(config).encode()),
            weight=2,
        ),
        reading(
            "config.flags",
            flags,
            _read_flags,
            errors=(ConfigError, UnicodeDecodeError),
            check=anything,
        ),
        reading(
            "config.network",
            from_json("network"),
            _read_network,
            errors=(Failure,),
            check=anything,
        ),
        reading(
            "certificate.node",
            from_real(lambda: [certificate_der()]),
            _check_certificate,
            errors=(Unauthenticated,),
            check=anything,
        ),
        reading(
            "certificate.authority",
            lambda random: bytes_altered(certificates()[0].certificate, random),
            _check_authority,
            errors=(InvalidInput,),
            check=anything,
        ),
        reading("app.kv", transactions, _execute, errors=(), check=anything, weight=2),
    ]


def _read_config(data: bytes) -> NodeConfig:
    return parse(data.decode()).config


def flags(random: Random) -> bytes:
    """Return lines `key=value`, as flags give them."""
    keys = list(known_keys())
    values = (
        "",
        "0",
        "1",
        "-1",
        "true",
        "False",
        "kv",
        "debug",
        "١",
        "1_0",
        "9" * 5000,
        "::1:1",
        "a:b",
        "h:1",
    )
    lines = [f"{pick(random, keys)}={pick(random, values)}" for _ in range(random.randrange(4))]
    made = "\n".join(lines).encode()
    return bytes_altered(made, random) if chance(random, 4) else made


def _read_flags(data: bytes) -> NodeConfig:
    """Read the same settings as flags, and as variables of the environment."""
    pairs = [line.partition("=") for line in data.decode().splitlines() if "=" in line]
    given = {name: value for name, _, value in pairs}
    parse("", environment={environment_name(name): value for name, value in given.items()})
    return parse("", flags=given).config


def _read_network(data: bytes) -> object:
    with folder() as place:
        (place / "network.json").write_bytes(data)
        return read_network(place)


@cache
def certificate_der() -> bytes:
    """Return the node's certificate."""
    return PEM_cert_to_DER_cert(certificates()[1].certificate.decode())


def _check_certificate(data: bytes) -> str:
    checker = CertificateChecker(
        ca=certificates()[0].certificate, chain_id="test-chain", now_ns=lambda: 1_800_000_000 * 10**9
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return checker.check(data)


def _check_authority(data: bytes) -> object:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        return CertificateChecker(ca=data, chain_id="c", now_ns=lambda: 0)


def transactions(random: Random) -> bytes:
    """Return the `Data` of a block: transactions that nearly read as one of the application's forms."""
    txs = [text_of(tx, random) if chance(random, 3) else bytes_altered(tx, random) for tx in TXS]
    return encode_txs(txs[: random.randrange(len(txs) + 1)])


INIT = InitChain(
    time_ns=0,
    chain_id="test-chain",
    initial_height=1,
    app_state=b"{}",
    validators=(ValidatorUpdate(public_key=bytes(32), power=10),),
    params=ConsensusParams(),
)


def _block(txs: Sequence[bytes]) -> FinalizeBlock:
    return FinalizeBlock(
        txs=txs,
        last_commit=CommitInfo(round=0, votes=()),
        misbehavior=(),
        hash=bytes(32),
        height=1,
        time_ns=1,
        next_validators_hash=bytes(32),
        proposer_address=bytes(20),
    )


def _execute(data: bytes) -> bytes:
    """Check and execute transactions as two nodes would: nothing is raised, and both come to the same."""
    txs = split_txs(data)
    outcomes = []
    for _ in range(2):
        app = KeyValue(MemoryState())
        app.init_chain(INIT)
        app.check_txs(txs, recheck=False)
        outcomes.append(app.finalize_block(_block(txs)))
        app.commit()
        app.query_many([Query(path=path, data=tx) for tx in txs for path in ("", "/val", "/nowhere")])
    assert outcomes[0] == outcomes[1], "two nodes differ"
    return outcomes[0].app_hash
