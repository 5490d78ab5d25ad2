"""The files behind OPC UA trust: own certificate and key, trusted and rejected folders. Decides nothing about trust.

The folders are what a technician looks into: an unknown server's certificate lies in ``rejected`` until
``plantgate opcua trust`` moves it to ``trusted``. ``drivers.kit.certificates`` judges what lies there.
"""

from __future__ import annotations

import datetime as dt
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drivers.kit.certificates import (
    DistrustError,
    Facts,
    certificate,
    file_name,
    fingerprint,
    in_date,
    new_key,
    self_signed,
    written,
)

SUFFIXES: Final = frozenset({".pem", ".der", ".crt", ".cer"})
MAX_FILE_BYTES: Final = 1 << 20
MAX_REJECTED: Final = 20
"""So many unknown certificates are kept; the oldest gives way, because anyone on the network can show new ones."""
MAX_TRUSTED: Final = 100
"""So many trusted certificates lie in one folder at most: all are read whenever a device shows its own."""
_OTHERS: Final = 0o077


@dataclass(frozen=True, slots=True)
class Stored:
    """A certificate that lies in a file.

    Attributes:
        place: ``own``, ``trusted`` or ``rejected``.
        path: its file.
        facts: None where the file is no certificate.
        problem: why it cannot be used, "" if it can.
    """

    place: str
    path: Path
    facts: Facts | None
    problem: str = ""


def own_certificate(certificate_file: Path, key_file: Path, application_uri: str = "") -> Stored:
    """The gateway's own certificate, made once and then kept.

    An existing key is never replaced: a certificate that is missing beside it is made for it. Folders are made
    where needed; when root does all this, the files belong to the owner of the folder they are put into.

    Args:
        certificate_file: DER is written.
        key_file: PEM (PKCS 8) is written, mode 0600.
        application_uri: "" gives ``urn:HOST:plantgate``.

    Raises:
        DistrustError: there is a certificate without its key, a file that is none, or a pair that does not match.
        OSError: a file cannot be read or written.
    """
    if certificate_file.exists() and not key_file.exists():
        raise DistrustError(
            f"{certificate_file} exists, but its key {key_file} does not: bring the key back, "
            "or remove the certificate to have both made anew (every server must then trust the new one)"
        )
    if not certificate_file.exists():
        host = socket.gethostname() or "localhost"
        if key_file.exists():
            key = private_key(key_file)
        else:
            key = new_key()
            pem = key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            _write_new(key_file, pem, 0o600)
        uri = application_uri or f"urn:{host}:plantgate"
        made = self_signed(key, uri, host, dt.datetime.now(dt.UTC))
        _write_new(certificate_file, made.public_bytes(serialization.Encoding.DER), 0o644)
    return Stored("own", certificate_file, Facts.of(own_pair(certificate_file, key_file)[0]))


def own_pair(certificate_file: Path, key_file: Path) -> tuple[x509.Certificate, rsa.RSAPrivateKey]:
    """An own certificate and its key, in date or not.

    Raises:
        DistrustError: one of them is none, or they do not belong together.
        OSError: a file cannot be read.
    """
    own = certificate(_content(certificate_file), str(certificate_file))
    key = private_key(key_file)
    if own.public_key() != key.public_key():
        raise DistrustError(f"the key {key_file} does not belong to the certificate {certificate_file}")
    return own, key


def private_key(path: Path) -> rsa.RSAPrivateKey:
    """A key, PEM or DER.

    Raises:
        DistrustError: it is none, has a password, or is open to others than its owner.
        OSError: the file cannot be read.
    """
    content = _secret(path)
    load: Any = serialization.load_der_private_key
    if content.lstrip().startswith(b"-----BEGIN"):
        load = serialization.load_pem_private_key
    try:
        key = load(content, None)
    except (ValueError, TypeError) as error:
        raise DistrustError(f"{path} is not a private key without password") from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise DistrustError(f"{path} is no RSA key; these security policies know no other")
    return key


def password(path: Path) -> str:
    """A password from its file, without the line end.

    Raises:
        DistrustError: it is open to others than its owner, or no UTF-8 text.
        OSError: the file cannot be read.
    """
    try:
        return _secret(path).decode("utf-8").rstrip("\r\n")
    except UnicodeDecodeError as error:
        raise DistrustError(f"{path} is not UTF-8 text") from error


def trusted_files(path: Path) -> dict[str, bytes]:
    """Name -> content of one file, or of every certificate in a folder; nothing where nothing is yet.

    A file of a folder that cannot be read is empty: it trusts nobody, and the others do not suffer.

    Raises:
        DistrustError: a folder holds more than ``MAX_TRUSTED``; which of them are meant, nobody can say.
        OSError: the one file, or the folder, cannot be read.
    """
    if path.is_dir():
        files = _certificate_files(path)
        if len(files) > MAX_TRUSTED:
            raise _crowded(path, len(files))
        return {file.name: _content_or_none(file) for file in files}
    try:
        return {path.name: _content(path)}
    except FileNotFoundError:
        return {}


def reject(folder: Path, shown: bytes) -> Path:
    """Keep a certificate that nobody trusts, for a person to look at; at most ``MAX_REJECTED`` of them.

    Raises:
        DistrustError: it is no certificate.
        OSError: it cannot be written.
    """
    one = certificate(shown, "what the server shows")
    path = folder / file_name(one)
    if path.exists():
        return path
    _folder(folder)
    kept = sorted(_certificate_files(folder), key=lambda file: file.stat().st_mtime_ns)
    for oldest in kept[: max(0, len(kept) - MAX_REJECTED + 1)]:
        oldest.unlink(missing_ok=True)
    _write_new(path, one.public_bytes(serialization.Encoding.DER), 0o644)
    return path


def trust(fingerprint_as_typed: str, rejected: Path, trusted: Path) -> Stored:
    """Move a rejected certificate to the trusted ones.

    Args:
        fingerprint_as_typed: of the certificate, as the server's own screen shows it; the whole of it, because a
            certificate that begins alike can be made.
        rejected: folder.
        trusted: folder, or the one file that is to hold it, which its suffix tells as long as nothing is there.

    Raises:
        DistrustError: no rejected certificate has it, it is out of date, or ``MAX_TRUSTED`` are trusted already; says
            what to do.
        OSError: it cannot be moved.
    """
    digits = written(fingerprint_as_typed)
    if trusted.is_file():
        raise DistrustError(
            f"{trusted} is one file and there already; name a folder as `trusted`, so that certificates can join it"
        )
    matching = [
        (file, one)
        for file in (_certificate_files(rejected) if rejected.is_dir() else [])
        if (one := _certificate_or_none(file)) is not None and fingerprint(one) == digits
    ]
    if not matching:
        raise DistrustError(
            f"no rejected certificate in {rejected} has the fingerprint {digits}; see `plantgate opcua certs`"
        )
    file, one = matching[0]
    in_date(one, str(file), dt.datetime.now(dt.UTC))
    alone = trusted.suffix.lower() in SUFFIXES and not trusted.is_dir()
    target = trusted if alone else trusted / file_name(one)
    if not target.exists():
        if trusted.is_dir() and (there := len(_certificate_files(trusted))) >= MAX_TRUSTED:
            raise _crowded(trusted, there)
        _write_new(target, one.public_bytes(serialization.Encoding.DER), 0o644)
    for copy, _ in matching:
        copy.unlink()
    return Stored("trusted", target, Facts.of(one))


def stored(place: str, path: Path) -> list[Stored]:
    """What lies there: one file, or a folder's certificates; nothing where nothing is. Out of date is a problem."""
    if not path.exists():
        return []
    now = dt.datetime.now(dt.UTC)
    found = []
    for file in _certificate_files(path) if path.is_dir() else [path]:
        try:
            one = certificate(_content(file), str(file))
        except DistrustError as error:
            found.append(Stored(place, file, None, str(error)))
            continue
        except OSError as error:
            found.append(Stored(place, file, None, f"{file}: {error.strerror}"))
            continue
        problem = ""
        try:
            in_date(one, str(file), now)
        except DistrustError as error:
            problem = str(error)
        found.append(Stored(place, file, Facts.of(one), problem))
    return found


def _crowded(folder: Path, there: int) -> DistrustError:
    return DistrustError(
        f"{folder} holds {there} certificates, and {MAX_TRUSTED} is the most; remove what is no longer needed"
    )


def _certificate_files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() in SUFFIXES)


def _certificate_or_none(file: Path) -> x509.Certificate | None:
    try:
        return certificate(_content(file), str(file))
    except (DistrustError, OSError):
        return None


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_FILE_BYTES)


def _content_or_none(path: Path) -> bytes:
    try:
        return _content(path)
    except OSError:
        return b""


def _secret(path: Path) -> bytes:
    """A file for its owner's eyes.

    Raises:
        DistrustError: others may read it, too.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        content = file.read(MAX_FILE_BYTES)
    credentials = os.environ.get("CREDENTIALS_DIRECTORY")
    # systemd guards its folder of credentials itself, with an ACL that shows as group bits
    if mode & _OTHERS and not (credentials and path.is_relative_to(credentials)):
        raise DistrustError(f"{path} is open to others than its owner; chmod 600 {path}")
    return content


def _folder(folder: Path) -> None:
    """Make a folder with its parents, each owned as its own parent is."""
    if folder.is_dir():
        return
    _folder(folder.parent)
    folder.mkdir(mode=0o755)
    _hand_over(folder, folder.parent)


def _write_new(path: Path, content: bytes, mode: int) -> None:
    """Write a file that must not exist yet, whole and on the disk, or not at all."""
    _folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        _hand_over(draft, path.parent)
        os.link(draft, path)  # unlike a rename, this refuses to replace what is there
    finally:
        draft.unlink()


def _hand_over(path: Path, folder: Path) -> None:
    """Root makes files for the service's user, who owns the folder."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
