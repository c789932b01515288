"""What fuzzing found in settings, notes and certificates: inputs on which a reader once broke its promise."""

from pathlib import Path
from ssl import DER_cert_to_PEM_cert

import pytest

from catenet.cli.places import NETWORK_FILE, read_network
from catenet.cli.shape import Failure
from catenet.node.config_file import ConfigError, parse
from catenet.security.identity import CertificateChecker
from catenet.types.errors import InvalidInput, Unauthenticated
from support.fuzzing.corpus import certificates
from support.fuzzing.node_targets import certificate_der


def test_settings_that_the_toml_reader_gives_up_on_are_named_as_such() -> None:
    for text in ("a = " + "[" * 5000, "a = " + "9" * 5000):
        with pytest.raises(ConfigError, match=r"my\.toml: cannot be read"):
            parse(text, name="my.toml")


def test_a_note_of_a_network_that_is_nested_without_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / NETWORK_FILE).write_text("[" * 100_000)
    with pytest.raises(Failure, match="is damaged"):
        read_network(tmp_path)


def test_a_certificate_of_an_unknown_version_is_refused() -> None:
    # The version is the integer in the context tag [0] at the start of what is signed.
    der = certificate_der().replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x12", 1)
    authority = certificates()[0].certificate
    checker = CertificateChecker(ca=authority, chain_id="test-chain", now_ns=lambda: 0)
    with pytest.raises(Unauthenticated, match="cannot be read"):
        checker.check(der)
    with pytest.raises(InvalidInput, match="no PEM certificate"):
        CertificateChecker(ca=pem_of(der), chain_id="test-chain", now_ns=lambda: 0)


def pem_of(der: bytes) -> bytes:

    return DER_cert_to_PEM_cert(der).encode()
