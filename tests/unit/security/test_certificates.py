"""Node certificates: what ours are, and every kind that is refused though its signature is right."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from catenet.security.ca import KeyPair, issue_node, make_ca, read_pair, spiffe_id, write_pair
from catenet.security.identity import CertificateChecker
from catenet.types.errors import Duplicate, InvalidInput, Unauthenticated

NOW = 1_700_000_000 * 10**9
DAY = 86_400 * 10**9
CHAIN = "test-chain"
CA = make_ca(chain_id=CHAIN, now_ns=NOW)


def checker(now_ns: int = NOW, chain_id: str = CHAIN) -> CertificateChecker:
    return CertificateChecker(ca=CA.certificate, chain_id=chain_id, now_ns=lambda: now_ns)


def der(pair: KeyPair) -> bytes:
    return ssl.PEM_cert_to_DER_cert(pair.certificate.decode())


def forge(
    *, uris: tuple[str, ...], name: str = "n", is_ca: bool = False, issuer: KeyPair = CA, san: bool = True
) -> bytes:
    """Make a certificate that the CA signed and that its own tool would never make."""
    signer = serialization.load_pem_private_key(issuer.key, None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    authority = x509.load_pem_x509_certificate(issuer.certificate)
    now = datetime.fromtimestamp(NOW // 10**9, tz=UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
        .issuer_name(authority.subject)
        .public_key(ec.generate_private_key(ec.SECP256R1()).public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_ca, path_length=None), critical=True)
    )
    if san:
        names = [x509.UniformResourceIdentifier(uri) for uri in uris]
        builder = builder.add_extension(
            x509.SubjectAlternativeName([*names, x509.DNSName("localhost")]), critical=False
        )
    return builder.sign(signer, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


def test_a_node_certificate_names_its_node_and_its_hosts() -> None:
    pair = issue_node(CA, chain_id=CHAIN, name="node0", now_ns=NOW, hosts=("10.0.0.7", "box.example"))
    assert checker().check(der(pair)) == "node0"
    certificate = x509.load_pem_x509_certificate(pair.certificate)
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://test-chain/node/node0"]
    assert names.get_values_for_type(x509.DNSName) == ["node0", "localhost", "box.example"]
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ["127.0.0.1", "10.0.0.7"]
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"


URI = "spiffe://test-chain/node/n"
REFUSED = [
    (forge(uris=("spiffe://other-chain/node/n",)), "not a node of"),
    (forge(uris=("https://test-chain/node/n",)), "not a node of"),
    (forge(uris=("spiffe://test-chain/node/",)), "which is no node"),
    (forge(uris=("spiffe://test-chain/node/n/m",)), "which is no node"),
    (forge(uris=("spiffe://test-chain/node/m",)), "but its subject is"),
    (forge(uris=(URI, "spiffe://test-chain/node/m")), "2 URI names"),
    (forge(uris=()), "0 URI names"),
    (forge(uris=(), san=False), "0 URI names"),
    (forge(uris=(URI,), is_ca=True), "one of an authority"),
    (forge(uris=(URI,), issuer=make_ca(chain_id=CHAIN, now_ns=NOW)), "not issued by"),
    (der(CA), "one of an authority"),
    (b"\x30\x03abc", "cannot be read"),
]


@pytest.mark.parametrize(("certificate", "text"), REFUSED)
def test_a_certificate_that_does_not_name_exactly_one_node_is_refused(certificate: bytes, text: str) -> None:
    with pytest.raises(Unauthenticated, match=text):
        checker().check(certificate)


def test_the_forger_of_these_tests_can_make_a_good_one() -> None:
    assert checker().check(forge(uris=(URI,))) == "n"


def test_validity_is_judged_at_each_use() -> None:
    now = [NOW]
    check = CertificateChecker(ca=CA.certificate, chain_id=CHAIN, now_ns=lambda: now[0]).check
    certificate = der(issue_node(CA, chain_id=CHAIN, name="n", now_ns=NOW, days=2))
    assert check(certificate) == "n"
    now[0] = NOW + 2 * DAY + 10**9
    with pytest.raises(Unauthenticated, match="has expired"):
        check(certificate)
    now[0] = NOW - DAY
    with pytest.raises(Unauthenticated, match="not yet valid"):
        check(certificate)


def test_names_that_cannot_be_in_a_certificate_are_refused() -> None:
    for chain_id, name in (("Chain", "n"), ("", "n"), ("c/d", "n"), ("c", ""), ("c", "a/b"), ("c", "n" * 64)):
        with pytest.raises(InvalidInput):
            spiffe_id(chain_id=chain_id, name=name)


def test_keys_are_written_for_the_owner_alone_and_never_over_another(tmp_path: Path) -> None:
    pair = issue_node(CA, chain_id=CHAIN, name="n", now_ns=time.time_ns())
    paths = {"certificate_path": tmp_path / "node.crt", "key_path": tmp_path / "node.key"}
    write_pair(pair, **paths)
    assert (paths["key_path"].stat().st_mode & 0o777) == 0o600
    assert read_pair(**paths) == pair
    with pytest.raises(Duplicate, match="not overwritten"):
        write_pair(pair, **paths)
    paths["key_path"].chmod(0o640)
    with pytest.raises(InvalidInput, match="mode 0640: others can read"):
        read_pair(**paths)
    paths["key_path"].chmod(0o600)
    paths["key_path"].write_bytes(CA.key)
    with pytest.raises(InvalidInput, match="is not the key of"):
        read_pair(**paths)
