"""Decides whether a certificate may be used, and what the gateway's own looks like. Pure.

A peer is trusted only by one of these files, byte for byte, and in date; whatever is in doubt is refused. Reads no
file and no clock: contents and now are arguments. Making an own certificate draws a key.
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

WARN_DAYS: Final = 30
"""A certificate that ends sooner is worth a warning."""
OWN_YEARS: Final = 20
"""How long an own certificate lasts: longer than the box, because renewing it means a visit to every server."""
KEY_BITS: Final = 2048
"""What every server takes; all three policies allow 2048 to 4096 (OPC 10000-7)."""
SHORTEST_FINGERPRINT: Final = 32
"""So many hex digits a person types at least: 128 bits. A certificate with the same first few can be made."""
_MAX_NAME: Final = 40


class DistrustError(Exception):
    """A certificate may not be used; says why."""


class UnknownError(DistrustError):
    """A certificate is none of the trusted ones, which a person may change."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a person compares and watches.

    Attributes:
        fingerprint: SHA-256 over the DER form, lower-case hex.
        subject: its owner's name, RFC 4514.
        application_uri: "" where it names none.
        begins: UTC.
        ends: UTC.
    """

    fingerprint: str
    subject: str
    application_uri: str
    begins: dt.datetime
    ends: dt.datetime

    @classmethod
    def of(cls, one: x509.Certificate) -> Facts:
        """The facts of this certificate."""
        uris = _uris(one)
        return cls(
            fingerprint(one),
            one.subject.rfc4514_string(),
            uris[0] if uris else "",
            one.not_valid_before_utc,
            one.not_valid_after_utc,
        )

    def days_left(self, now: dt.datetime) -> int:
        """Whole days until it ends, negative once it has."""
        return (self.ends - now).days

    def ends_soon(self, now: dt.datetime) -> bool:
        """Within ``WARN_DAYS``, or already over."""
        return self.days_left(now) < WARN_DAYS


def certificate(content: bytes, whose: str) -> x509.Certificate:
    """Read a certificate, PEM or DER; of a DER chain the first one.

    Raises:
        DistrustError: it is none.
    """
    try:
        if content.lstrip().startswith(b"-----BEGIN"):
            return x509.load_pem_x509_certificate(content)
        # the outer SEQUENCE of a certificate has a length of two bytes (X.690 section 8.1.3)
        return x509.load_der_x509_certificate(content[: int.from_bytes(content[2:4], "big") + 4])
    except ValueError as error:
        raise DistrustError(f"{whose} is not a certificate") from error


def fingerprint(one: x509.Certificate) -> str:
    """SHA-256 over the DER form, lower-case hex."""
    return one.fingerprint(hashes.SHA256()).hex()


def written(fingerprint_as_typed: str) -> str:
    """A fingerprint, or its beginning, as a person types it: colons, blanks and capitals do not matter.

    Raises:
        DistrustError: too short, or no hex digits.
    """
    digits = re.sub(r"[\s:]", "", fingerprint_as_typed).lower()
    if not re.fullmatch(rf"[0-9a-f]{{{SHORTEST_FINGERPRINT},64}}", digits):
        raise DistrustError(
            f'"{fingerprint_as_typed}" is no fingerprint: give {SHORTEST_FINGERPRINT} hex digits of it or more'
        )
    return digits


def in_date(one: x509.Certificate, whose: str, now: dt.datetime) -> None:
    """A certificate is used between its dates only.

    Raises:
        DistrustError: expired or not valid yet; names the clock, which may be what is wrong.
    """
    begins, ends = one.not_valid_before_utc, one.not_valid_after_utc
    if not begins <= now <= ends:
        word = "has expired" if now > ends else "is not valid yet"
        raise DistrustError(
            f"{whose} {word}: valid {begins:%Y-%m-%d} to {ends:%Y-%m-%d}, this box's clock says {now:%Y-%m-%d}"
        )


def no_certificates(files: Mapping[str, bytes]) -> list[str]:
    """Names of the files that are none, rising; they trust nobody and stand in nobody's way."""
    broken = []
    for name, content in files.items():
        try:
            certificate(content, name)
        except DistrustError:
            broken.append(name)
    return sorted(broken)


def trusted(shown: bytes, files: Mapping[str, bytes], now: dt.datetime) -> x509.Certificate:
    """The certificate a server shows, if it is one of the trusted ones.

    Args:
        shown: DER, perhaps a chain.
        files: name -> content of the trusted files.
        now: UTC.

    Raises:
        UnknownError: it is not; shows both fingerprints, and names the files that are to be mended.
        DistrustError: it is no certificate, or out of date.
    """
    peer = certificate(shown, "what the server shows")
    broken = no_certificates(files)
    known = {
        fingerprint(certificate(content, name)): name for name, content in files.items() if name not in broken
    }
    if fingerprint(peer) not in known:
        listed = ", ".join(f"{mark} ({name})" for mark, name in sorted(known.items())) or "none"
        mend = f"; to be mended, because it is not a certificate: {', '.join(broken)}" if broken else ""
        raise UnknownError(
            f"the server's certificate is not trusted: it shows {fingerprint(peer)}, trusted is {listed}{mend}"
        )
    in_date(peer, "the server's certificate", now)
    return peer


def application_uri(one: x509.Certificate, whose: str) -> str:
    """The application URI a certificate names (OPC 10000-6 section 6.2.2).

    Raises:
        DistrustError: it names none.
    """
    uris = _uris(one)
    if not uris:
        raise DistrustError(f"{whose} names no application URI")
    return uris[0]


def file_name(one: x509.Certificate) -> str:
    """What a stored certificate is called: readable, and different for different ones."""
    names = one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", str(names[0].value))[:_MAX_NAME].strip(".-") if names else ""
    return f"{plain or 'server'}-{fingerprint(one)[:16]}.der"


def new_key() -> rsa.RSAPrivateKey:
    """A key for an own certificate; takes 0.1 s and more."""
    return rsa.generate_private_key(public_exponent=65_537, key_size=KEY_BITS)


def self_signed(key: rsa.RSAPrivateKey, uri: str, host: str, now: dt.datetime) -> x509.Certificate:
    """An application instance certificate as OPC 10000-6 section 6.2.2 wants it.

    Args:
        key: the gateway's own.
        uri: ApplicationURI, which servers compare with what the session says.
        host: this box's name.
        now: UTC; it holds from the day before, because servers' clocks differ.
    """
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Plantgate {host}"[:64])])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * OWN_YEARS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .add_extension(
            x509.SubjectAlternativeName([x509.UniformResourceIdentifier(uri), _host(host)]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA256())
    )


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _uris(one: x509.Certificate) -> list[str]:
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):  # a stranger's extensions may be anything
        return []
    return names.get_values_for_type(x509.UniformResourceIdentifier)
