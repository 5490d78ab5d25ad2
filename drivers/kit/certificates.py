"""Decides whether a peer's certificate may be trusted: only one of these files, byte for byte, and in date. Pure.

Reads no file and no clock: contents and now are arguments. Whatever is in doubt is refused.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives import hashes


class DistrustError(Exception):
    """A certificate may not be used; says why."""


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


def trusted(shown: bytes, files: Mapping[str, bytes], now: dt.datetime) -> x509.Certificate:
    """The certificate a server shows, if it is one of the trusted ones.

    Args:
        shown: DER, perhaps a chain.
        files: name -> content of the trusted files.
        now: UTC.

    Raises:
        DistrustError: it is not; shows both fingerprints.
    """
    peer = certificate(shown, "what the server shows")
    known = {fingerprint(certificate(content, name)): name for name, content in files.items()}
    if fingerprint(peer) not in known:
        listed = ", ".join(f"{mark} ({name})" for mark, name in sorted(known.items())) or "none"
        raise DistrustError(
            f"the server's certificate is not trusted: it shows {fingerprint(peer)}, trusted is {listed}"
        )
    in_date(peer, "the server's certificate", now)
    return peer


def application_uri(one: x509.Certificate, whose: str) -> str:
    """The application URI a certificate names (OPC 10000-6 section 6.2.2).

    Raises:
        DistrustError: it names none.
    """
    try:
        names = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        uris = []
    else:
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    if not uris:
        raise DistrustError(f"{whose} names no application URI")
    return uris[0]
