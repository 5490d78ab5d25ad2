"""Certificates, keys and secret files of a configuration: what would keep a line from coming up. Reads files only."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_private_key,
    load_pem_private_key,
)

from drivers.kit.ua_options import Options as UaOptions
from gateway.config import SERVICE_CREDENTIALS
from gateway.downlink import certificates_in, p256_key
from gateway.errors import UserFacingError
from gateway.plant import Config, RecipientConfig
from gateway.words import reason, said

WARN_DAYS: Final = 30
"""A certificate that ends sooner is mentioned by ``check``."""
URGENT_DAYS: Final = 7
"""One that ends sooner is told to be renewed now."""
MAX_FILE_BYTES: Final = 1 << 20
_CERTIFICATE_SUFFIXES: Final = frozenset({".pem", ".crt", ".cer", ".der"})


@dataclass(frozen=True, slots=True)
class Ending:
    """A certificate that is still good, but not for long."""

    path: Path
    not_after: dt.datetime


def certificate_mistakes(config: Config, now: dt.datetime) -> list[UserFacingError]:
    """Everything wrong with the certificates, keys and password files a configuration names, each once.

    Args:
        config: a checked configuration.
        now: with time zone.
    """
    found = {(error.code, error.place): error for error in _mistakes(config, now)}
    return list(found.values())


def ending_soon(config: Config, now: dt.datetime) -> list[Ending]:
    """Own and trusted certificates that end within ``WARN_DAYS``, the soonest first."""
    endings = {}
    for owner in _owners(config):
        with suppress(UserFacingError):  # a mistake of its own
            for path in _files(owner.certificate) + _files(owner.trusted):
                with suppress(UserFacingError):
                    last = min(certificate.not_valid_after_utc for certificate in _certificates(path))
                    if now <= last < now + dt.timedelta(days=WARN_DAYS):
                        endings[path] = Ending(path, last)
    return sorted(endings.values(), key=lambda ending: ending.not_after)


def recipients_ending(config: Config, now: dt.datetime) -> dict[str, str]:
    """What is soon over with each recipient's line: own certificate, trust anchor, or that of orders.

    Two parts of the gateway for each, so that the urgent one is an alarm of its own and calls again whoever has
    acknowledged the first. An alarm keeps the cause it was raised with, so it names the day and counts none.

    Args:
        config: a checked configuration.
        now: with time zone.

    Returns:
        part of the gateway -> cause, "" if nothing.
    """
    found = {}
    for recipient in config.recipients:
        last, path = _end_of(recipient, now)
        days = (last - now).days
        told = f"{path} has expired on {_day(last)}" if last < now else f"{path} ends on {_day(last)}"
        found[f"certificate/{recipient.name}"] = told if days < WARN_DAYS else ""
        found[f"certificate-urgent/{recipient.name}"] = f"{told}: renew it now" if days < URGENT_DAYS else ""
    return found


def _end_of(recipient: RecipientConfig, now: dt.datetime) -> tuple[dt.datetime, Path]:
    """The end that comes first, far away where there is none."""
    ends: list[tuple[dt.datetime, Path]] = []
    for place in (recipient.certificate, recipient.ca, recipient.orders_certificate):
        with suppress(UserFacingError):  # the line says itself what it cannot read
            ends += [(c.not_valid_after_utc, file) for file in _files(place) for c in _certificates(file)]
    return min(ends, default=(now + dt.timedelta(days=2 * WARN_DAYS), Path()))


def nothing_trusted(config: Config) -> list[str]:
    """Devices by OPC UA that trust no server yet: no mistake, a person trusts one once it has been seen."""
    return [
        device.device.name
        for device in config.devices
        if isinstance(device.options, UaOptions)
        and not device.options.insecure
        and not _holds(device.options.trusted_place)
    ]


def unseen(config: Config) -> list[Path]:
    """Credentials that could not be judged, because systemd shows them to the running service only."""
    return sorted(
        {
            path
            for owner in _owners(config)
            for path in (owner.trusted, owner.certificate, owner.private_key, owner.password_file)
            if path is not None and _unseen(path)
        }
    )


@dataclass(frozen=True, slots=True)
class _Owner:
    """The files one recipient, device or camera names; None for what it does not have."""

    trusted: Path | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    password_file: Path | None = None


def _owners(config: Config) -> Iterator[_Owner]:
    for recipient in config.recipients:
        yield _Owner(recipient.ca, recipient.certificate, recipient.private_key)
        yield _Owner(certificate=recipient.orders_certificate)
    for options in (*(d.options for d in config.devices), *(c.options for c in config.cameras)):
        if isinstance(options, UaOptions):
            yield from _ua_owners(options)
            continue
        named = {key: getattr(options, key, None) for key in _Owner.__slots__}
        yield _Owner(**{key: path for key, path in named.items() if isinstance(path, Path)})


def _ua_owners(options: UaOptions) -> Iterator[_Owner]:
    """The gateway as an application and as a user; a default pair is made at the first start, and judged then."""
    certificate, key = (None, None) if options.insecure else options.own_files
    if options.certificate is options.private_key is None:
        certificate = certificate if certificate and os.path.lexists(certificate) else None
        key = key if certificate or (key and os.path.lexists(key)) else None
    trusted = options.trusted_place if _holds(options.trusted_place) else None
    yield _Owner(trusted, certificate, key, options.password_file)
    yield _Owner(None, options.user_certificate, options.user_key)


def _signs_orders(path: Path) -> bool:
    """Is there a key that may sign orders; also true of what cannot be read: that is a mistake of its own."""
    try:
        return _unseen(path) or any(p256_key(one) is not None for one in _certificates(path))
    except UserFacingError:
        return True


def _holds(trusted: Path) -> bool:
    """Is there a certificate; also true of what cannot be looked at."""
    try:
        return bool(_files(trusted)) and (_unseen(trusted) or os.path.lexists(trusted))
    except UserFacingError:
        return True


def _mistakes(config: Config, now: dt.datetime) -> Iterator[UserFacingError]:
    for recipient in config.recipients:
        if recipient.orders_certificate is not None and not _signs_orders(recipient.orders_certificate):
            yield said("E-CERT-ORDERS", str(recipient.orders_certificate), recipient=recipient.name)
    for owner in _owners(config):
        if owner.trusted is not None:
            yield from _trust_mistakes(owner.trusted, now)
        if owner.certificate is not None:
            yield from _date_mistakes(owner.certificate, now)
        if owner.private_key is not None:
            yield from _key_mistakes(owner.private_key, owner.certificate)
        if owner.password_file is not None:
            yield from _secret_mistakes(owner.password_file)


def _unseen(path: Path) -> bool:
    """A credential that systemd shows only to the running service cannot be judged from outside."""
    return str(path).startswith(SERVICE_CREDENTIALS + "/") and not Path(SERVICE_CREDENTIALS).exists()


def _files(path: Path | None) -> list[Path]:
    if path is None:
        return []
    try:
        found = list(path.iterdir()) if os.path.isdir(path) else [path]  # noqa: PTH112 - never raises
    except OSError as error:
        raise said("E-CERT-UNREADABLE", str(path), reason=reason(error)) from error
    return found if found == [path] else sorted(f for f in found if f.suffix.lower() in _CERTIFICATE_SUFFIXES)


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_FILE_BYTES)
    except FileNotFoundError as error:
        raise said("E-CERT-MISSING", str(path)) from error
    except OSError as error:
        raise said("E-CERT-UNREADABLE", str(path), reason=reason(error)) from error


def _certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM or DER file, the owner's first."""
    content = _content(path)
    try:
        return certificates_in(content)
    except ValueError as error:
        raise said("E-CERT-FORMAT", str(path)) from error


def _trust_mistakes(path: Path, now: dt.datetime) -> Iterator[UserFacingError]:
    try:
        files = _files(path)
    except UserFacingError as error:
        yield error
        return
    if not files:
        yield said("E-CERT-TRUST-EMPTY", str(path))
    for file in files:
        yield from _date_mistakes(file, now)


def _date_mistakes(path: Path, now: dt.datetime) -> Iterator[UserFacingError]:
    if _unseen(path):
        return
    try:
        certificates = _certificates(path)
    except UserFacingError as error:
        yield error
        return
    for certificate in certificates:
        first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        subject = certificate.subject.rfc4514_string()
        if now > last:
            yield said("E-CERT-EXPIRED", str(path), subject=subject, last=_day(last), now=_day(now))
        elif now < first:
            yield said("E-CERT-NOT-YET", str(path), subject=subject, first=_day(first), now=_day(now))


def _key_mistakes(path: Path, certificate: Path | None) -> Iterator[UserFacingError]:
    if _unseen(path):
        return
    yield from _secret_mistakes(path)
    try:
        key = _private_key(path)
        own = _certificates(certificate)[0] if certificate is not None else None
    except UserFacingError as error:
        # A certificate's own mistakes are told where it is judged; twice the same is told once.
        yield error
        return
    if own is not None and not _is_pair(key, own):
        yield said("E-CERT-KEY-OTHER", str(path), certificate=certificate)


def _secret_mistakes(path: Path) -> Iterator[UserFacingError]:
    if _unseen(path):
        return
    try:
        mode = path.stat().st_mode & 0o777
    except OSError:
        mode = 0
    if mode & 0o077:
        yield said("E-CERT-KEY-OPEN", str(path), mode=f"{mode:04o}")
    try:
        _content(path)
    except UserFacingError as error:
        yield error


def _private_key(path: Path) -> PrivateKeyTypes:
    content = _content(path)
    try:
        load = load_pem_private_key if b"-----BEGIN" in content else load_der_private_key
        return load(content, password=None)
    except TypeError as error:
        raise said("E-CERT-KEY-ENCRYPTED", str(path)) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise said("E-CERT-KEY-FORMAT", str(path)) from error


def _is_pair(key: PrivateKeyTypes, certificate: x509.Certificate) -> bool:
    try:
        return _public_bytes(key.public_key()) == _public_bytes(certificate.public_key())
    except UnsupportedAlgorithm:
        return False  # the certificate's is of a kind that the key is not


def _public_bytes(key: object) -> bytes:
    encoded: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _day(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).strftime("%Y-%m-%d %H:%M UTC")
