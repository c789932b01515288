"""The network's certificate authority: P-256 certificates for nodes. No checks of others' certificates here.

gRPC refuses Ed25519 certificates, and an RSA one would let TLS 1.2 in again (wire/tls_floor.py): all keys are
P-256.
"""

import ipaddress
import os
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from catenet.types.errors import Duplicate, InvalidInput

CA_DAYS = 3650
NODE_DAYS = 825
CLOCK_SKEW = timedelta(minutes=5)
"""A certificate is valid this much before its making: the other node's clock may be behind."""

_TRUST_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")
_NODE_NAME = re.compile(r"[a-zA-Z0-9._-]{1,63}")


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyPair:
    """A certificate and its private key, both PEM."""

    certificate: bytes
    key: bytes


def spiffe_id(*, chain_id: str, name: str) -> str:
    """Return the URI that names a node: spiffe://<chain-id>/node/<name>. Raises `InvalidInput`."""
    if not _TRUST_DOMAIN.fullmatch(chain_id):
        raise InvalidInput(
            f"chain id {chain_id!r} cannot be a SPIFFE trust domain: use only a-z, 0-9, '.', '_' and '-'"
        )
    if not _NODE_NAME.fullmatch(name):
        raise InvalidInput(f"node name {name!r}: use 1 to 63 letters, digits, '.', '_' and '-'")
    return f"spiffe://{chain_id}/node/{name}"


def make_ca(*, chain_id: str, now_ns: int, days: int = CA_DAYS) -> KeyPair:
    """Make the authority of one chain. It signs nodes only, no further authorities."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"{chain_id} CA")
    usage = _usage(signs_certificates=True)
    builder = (
        _builder(name, name, key.public_key(), now_ns=now_ns, days=days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return _pair(builder.sign(key, hashes.SHA256()), key)


def issue_node(
    ca: KeyPair, *, chain_id: str, name: str, now_ns: int, hosts: tuple[str, ...] = (), days: int = NODE_DAYS
) -> KeyPair:
    """Make a node's certificate, for both ends of a connection.

    It names the node (CN, DNS name and SPIFFE URI), the loopback, and `hosts` (names or addresses).
    """
    authority = x509.load_pem_x509_certificate(ca.certificate)
    signer = _load_key(ca.key)
    key = ec.generate_private_key(ec.SECP256R1())
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(spiffe_id(chain_id=chain_id, name=name))]
    names += [_host_name(host) for host in dict.fromkeys((name, "localhost", "127.0.0.1", *hosts))]
    both_ends = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH])
    builder = (
        _builder(_name(name), authority.subject, key.public_key(), now_ns=now_ns, days=days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(both_ends, critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
    )
    return _pair(builder.sign(signer, hashes.SHA256()), key)


def write_pair(pair: KeyPair, *, certificate_path: Path, key_path: Path) -> None:
    """Write both files; the key can be read by its owner only. Raises `Duplicate` instead of overwriting."""
    for path, data, mode in ((key_path, pair.key, 0o600), (certificate_path, pair.certificate, 0o644)):
        try:
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        except FileExistsError:
            raise Duplicate(f"{path} is there already: it is not overwritten") from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())


def read_pair(*, certificate_path: Path, key_path: Path) -> KeyPair:
    """Read both files. Raises `InvalidInput` for a key that others can read or of another pair."""
    mode = key_path.stat().st_mode & 0o777
    if mode & 0o077:
        raise InvalidInput(f"{key_path} has mode {mode:04o}: others can read the key; run chmod 600 on it")
    pair = KeyPair(certificate=certificate_path.read_bytes(), key=key_path.read_bytes())
    try:
        certificate = x509.load_pem_x509_certificate(pair.certificate)
    except ValueError:
        raise InvalidInput(f"{certificate_path} holds no PEM certificate") from None
    if certificate.public_key() != _load_key(pair.key).public_key():
        raise InvalidInput(f"{key_path} is not the key of {certificate_path}")
    return pair


def _load_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        raise InvalidInput("the key is not an unencrypted PEM private key") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise InvalidInput("the key is not a P-256 key: TLS 1.2 is refused only with ECDSA certificates")
    return key


def _name(common_name: str) -> x509.Name:
    # X.509 allows 64 characters in a common name.
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name[:64])])


def _host_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _builder(
    subject: x509.Name, issuer: x509.Name, public_key: ec.EllipticCurvePublicKey, *, now_ns: int, days: int
) -> x509.CertificateBuilder:
    now = datetime.fromtimestamp(now_ns // 10**9, tz=UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pair(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> KeyPair:
    return KeyPair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )
