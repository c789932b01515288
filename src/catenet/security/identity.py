"""Whom a certificate speaks for: TLS alone would accept a wrong trust domain, two names, or a CA as a leaf.

Nothing here trusts what a library checked before: chain, validity and names are looked at again
(reliability.md 2). No certificate is made here.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.x509.oid import NameOID

from catenet.types.errors import InvalidInput, Unauthenticated

CACHED_MAX = 1024
_SCHEME = "spiffe://"


class CertificateChecker:
    """Says which node of one chain a certificate names, or refuses it with the reason."""

    def __init__(self, *, ca: bytes, chain_id: str, now_ns: Callable[[], int]) -> None:
        """`ca` is the authority's PEM certificate; `now_ns` reads the wall clock."""
        try:
            self._ca = x509.load_pem_x509_certificate(ca)
        except (ValueError, x509.InvalidVersion):
            raise InvalidInput("the CA file holds no PEM certificate") from None
        self._prefix = f"{_SCHEME}{chain_id}/node/"
        self._now_ns = now_ns
        self._known: dict[bytes, tuple[x509.Certificate, str]] = {}

    def check(self, der: bytes) -> str:
        """Return the node's name. Raises `Unauthenticated`. Validity is judged anew each time."""
        known = self._known.get(der)
        if known is None:
            certificate = _load(der)
            known = certificate, self._check_names(certificate)
            if len(self._known) >= CACHED_MAX:
                self._known.clear()
            self._known[der] = known
        certificate, name = known
        now = datetime.fromtimestamp(self._now_ns() / 10**9, tz=UTC)
        if now < certificate.not_valid_before_utc:
            raise Unauthenticated(f"certificate of {name!r} is not yet valid")
        if now > certificate.not_valid_after_utc:
            raise Unauthenticated(f"certificate of {name!r} has expired")
        return name

    def _check_names(self, certificate: x509.Certificate) -> str:
        """Return the node's name after every check that does not change with time."""
        try:
            certificate.verify_directly_issued_by(self._ca)
        except (ValueError, TypeError, InvalidSignature):
            raise Unauthenticated("certificate is not issued by this network's CA") from None
        if _is_ca(certificate):
            raise Unauthenticated("certificate is one of an authority, not of a node")
        uris = _uris(certificate)
        if len(uris) != 1:
            raise Unauthenticated(f"certificate has {len(uris)} URI names, it must have exactly one")
        uri = uris[0]
        if not uri.startswith(self._prefix):
            raise Unauthenticated(f"certificate names {uri[:200]!r}, not a node of {self._prefix!r}")
        name = uri.removeprefix(self._prefix)
        if not name or "/" in name:
            raise Unauthenticated(f"certificate names {uri[:200]!r}, which is no node")
        common_names = [
            str(entry.value) for entry in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        ]
        if common_names != [name]:
            raise Unauthenticated(f"certificate names {uri[:200]!r} but its subject is {common_names!r:.200}")
        return name


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion):
        raise Unauthenticated("certificate cannot be read") from None


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False
    except ValueError:
        raise Unauthenticated("certificate has extensions that cannot be read") from None


def _uris(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    except ValueError:
        raise Unauthenticated("certificate has extensions that cannot be read") from None
    return names.get_values_for_type(x509.UniformResourceIdentifier)
