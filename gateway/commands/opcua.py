"""``opcua``: whose certificates are trusted, and trusting one. Shows and asks; ``drivers.opcua`` judges and keeps.

Nothing is trusted silently: a person compares the fingerprint with what the server itself shows and types it, or gives
the whole of it with ``--fingerprint``.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding
from rich.console import Console

from drivers.kit.certificates import DistrustError, Facts, certificate, written
from drivers.kit.errors import PointError, SourceError
from drivers.kit.quality import Cause
from drivers.opcua import Options, offered, own_certificate, stored_certificates, trust
from drivers.wire.certificate_files import Stored, reject
from gateway.cli import give_json, say
from gateway.commands import opcua_view as view
from gateway.commands.asking import console
from gateway.commands.opcua_view import Server, Shown
from gateway.config import load
from gateway.errors import Exit, UserFacingError, UserFileErrors
from gateway.plant import Config
from gateway.words import meant, said

ANY_SERVER: Final = "opc.tcp://localhost"
"""Where no server is named, its options name the default places of certificates."""
WHOLE_DIGITS: Final = 64
MAX_FILE_BYTES: Final = 1 << 20


def certs(args: argparse.Namespace) -> int:
    """Own, trusted and rejected certificates, and what the servers show now."""
    servers = _servers(args)
    owns, wrong = _owns(servers)
    shown = asyncio.run(_look(servers))
    stored = {server.name: _stored(server.options) for server in servers}
    found = view.summary(owns, shown, stored, dt.datetime.now(dt.UTC))
    if args.json:
        give_json({"ok": not wrong, **found, "errors": [str(error) for error in wrong]})
    else:
        console().print(view.screen(found, args.language))
    for error in wrong:
        say(error.line("zh"), error.line("en"), args)
    verdicts = {one["verdict"] for one in found["servers"]}
    if wrong:
        return Exit.ENVIRONMENT
    if verdicts & {"untrusted", "expired", "bare"}:
        return Exit.REFUSED
    return Exit.UNREACHABLE if "unreachable" in verdicts else Exit.OK


def trust_one(args: argparse.Namespace) -> int:
    """Trust the certificate a server shows, or one in a file, after a person compared its fingerprint."""
    given = None if args.fingerprint is None else _whole(args.fingerprint)
    servers = _configured(args)
    path = Path(args.name)
    named = _named(args.name, servers)
    if named is None and path.is_file():
        facts, named = _from_file(path, servers)
    elif named is None:
        names = [server.name for server in servers]
        raise said("E-NAME-OPCUA", "", name=args.name, meant=meant(args.name, names))
    else:
        found = asyncio.run(_look([named]))[0]
        facts = _facts_of(found)
        if found.offer is not None and found.offer.trusted:
            say("这个证书已经是可信的。", "This certificate is trusted already.", args)
            return _told(args, named, Stored("trusted", named.options.trusted_place, facts))
    with _kept():
        known: tuple[str, ...] = (facts.fingerprint,)
        if given is None:
            thumbprint = _thumbprint(facts, named.options)
            known, given = (facts.fingerprint, thumbprint), _asked(facts, thumbprint, named, args)
        if not any(mark.startswith(given) for mark in known):
            shown = view.grouped(facts.fingerprint)
            raise said("E-REFUSED-FINGERPRINT", named.name, shown=shown, typed=view.grouped(given))
        moved = trust(named.options, facts.fingerprint)
    say(
        f"已信任：{moved.path}。运行中的网关会自行连接。",
        f"Trusted: {moved.path}. A running gateway connects by itself.",
        args,
    )
    return _told(args, named, moved)


def server_named(args: argparse.Namespace) -> Server:
    """The server that ``args.name`` names: a device of the configuration, or an address.

    Raises:
        UserFacingError: it names none.
    """
    servers = _configured(args)
    found = _named(args.name, servers)
    if found is None:
        names = [server.name for server in servers]
        raise said("E-NAME-OPCUA", "", name=args.name, meant=meant(str(args.name), names))
    return found


def refused_or_unreachable(name: str, error: SourceError) -> UserFacingError:
    """What a failed connection means to a person: distrust on either side, or nobody there."""
    code = "E-REFUSED-SERVER" if error.quality_cause is Cause.REFUSED else "E-DEVICE-UNREACHABLE"
    return said(code, name, detail=error.detail)


# -- whom it is about -----------------------------------------------------------------------------------


def _servers(args: argparse.Namespace) -> list[Server]:
    return _configured(args) if args.name is None else [server_named(args)]


def _configured(args: argparse.Namespace) -> list[Server]:
    """The configuration's servers; an address can be asked for where there is no right configuration yet."""
    try:
        config: Config = load(args.config)
    except UserFileErrors:
        if args.name is None or not (_is_address(args.name) or Path(args.name).is_file()):
            raise
        return []
    return [
        Server(device.device.name, device.options)
        for device in config.devices
        if isinstance(device.options, Options)
    ]


def _is_address(name: str) -> bool:
    return name.startswith("opc.tcp:")


def _named(name: str, servers: Iterable[Server]) -> Server | None:
    """By its name or its address; an address nobody configured has the default places."""
    if not _is_address(name):
        return next((server for server in servers if server.name == name), None)
    try:
        options = Options(url=name)
    except PointError as error:
        raise UserFacingError("E-NAME-OPCUA", Exit.USAGE, name, error.cause, error.remedy) from error
    same = (
        server for server in servers if server.options.endpoint.rstrip("/") == options.endpoint.rstrip("/")
    )
    return next(same, Server(name, options))


# -- what is there --------------------------------------------------------------------------------------


def _owns(servers: list[Server]) -> tuple[list[Stored], list[UserFacingError]]:
    """Every own certificate once, made if absent; and what is wrong with any."""
    places = {server.options.own_files: server.options for server in servers if not server.options.insecure}
    found: list[Stored] = []
    wrong: list[UserFacingError] = []
    for options in places.values() or [Options(url=ANY_SERVER)]:
        place = str(options.own_files[0])
        try:
            made = own_certificate(options)
            problem = next((one.problem for one in stored_certificates(options) if one.place == "own"), "")
        except DistrustError as error:
            wrong.append(said("E-CERT-OWN", place, detail=error))
            continue
        except OSError as error:
            wrong.append(said("E-CERT-STORE", place, reason=error.strerror))
            continue
        found.append(made)
        if problem:
            wrong.append(said("E-CERT-OWN", place, detail=problem))
    return found, wrong


def _stored(options: Options) -> list[Stored]:
    with _kept():
        return [one for one in stored_certificates(options) if one.place != "own"]


async def _look(servers: list[Server]) -> list[Shown]:
    return await asyncio.gather(*(_look_at(server) for server in servers))


async def _look_at(server: Server) -> Shown:
    try:
        offers = await offered(server.options)
    except SourceError as error:
        if error.quality_cause is Cause.REFUSED:
            raise said("E-CERT-STORE", server.name, reason=error.detail) from error
        return Shown(server, None, error.detail)
    wanted = (server.options.security_policy, server.options.security_mode)
    with_certificate = [offer for offer in offers if offer.facts is not None]
    same = [offer for offer in with_certificate if (offer.security_policy, offer.security_mode) == wanted]
    return Shown(server, next(iter(same or with_certificate), None))


def _facts_of(found: Shown) -> Facts:
    """Of what the server shows.

    Raises:
        UserFacingError: it cannot be reached, or shows nothing.
    """
    if found.unreachable:
        raise said("E-DEVICE-UNREACHABLE", found.server.name, detail=found.unreachable)
    if found.offer is None or found.offer.facts is None:
        raise said("E-REFUSED-BARE", found.server.name)
    return found.offer.facts


def _from_file(path: Path, servers: list[Server]) -> tuple[Facts, Server]:
    """A certificate that came as a file, put where a server's unknown one would lie; and whose folders these are."""
    folders = {server.options.rejected_folder: server for server in servers}
    home = folders.get(path.resolve().parent)
    if home is None:
        several = {server.options.trusted_place: server for server in servers}
        if len(several) > 1:
            names = ", ".join(server.name for server in servers)
            raise said("E-NAME-OPCUA-WHICH", str(path), names=names)
        home = next(iter(several.values()), Server(str(path), Options(url=ANY_SERVER)))
    with _kept():
        with path.open("rb") as file:
            one = certificate(file.read(MAX_FILE_BYTES), str(path))
        if path.resolve().parent != home.options.rejected_folder:
            reject(home.options.rejected_folder, one.public_bytes(Encoding.DER))
    return Facts.of(one), Server(str(path), home.options)


# -- asking a person ------------------------------------------------------------------------------------


def _whole(typed: str) -> str:
    """A complete fingerprint: the beginning of one can be forged.

    Raises:
        UserFacingError: it is not complete.
    """
    try:
        digits = written(typed)
    except DistrustError as error:
        raise said("E-NAME-FINGERPRINT-SHORT", "", typed=typed) from error
    if len(digits) < WHOLE_DIGITS:
        raise said("E-NAME-FINGERPRINT-SHORT", "", typed=typed)
    return digits


def _thumbprint(facts: Facts, options: Options) -> str:
    """SHA-1 of a certificate that lies among the rejected.

    Raises:
        DistrustError: it does not lie there.
        OSError: it cannot be read.
    """
    for one in stored_certificates(options):
        if one.place == "rejected" and one.facts == facts:
            der = certificate(one.path.read_bytes(), str(one.path)).public_bytes(Encoding.DER)
            return hashlib.sha1(der, usedforsecurity=False).hexdigest()
    raise DistrustError(f"{options.rejected_folder} does not hold it; can this user write there?")


def _asked(facts: Facts, thumbprint: str, server: Server, args: argparse.Namespace) -> str:
    """The beginning of the fingerprint as the person types it from the server's own screen.

    Raises:
        UserFacingError: there is nobody to ask, or what was typed is no fingerprint, or too short a part of one.
    """
    if not sys.stdin.isatty():
        raise said("E-NAME-FINGERPRINT", server.name)
    screen = Console(stderr=True)
    screen.print(view.question(server.name, facts, thumbprint, dt.datetime.now(dt.UTC), args.language))
    typed = screen.input("› ")
    try:
        return written(typed)
    except DistrustError as error:  # too little to compare is not yet a difference
        raise said("E-REFUSED-CERTIFICATE", server.name, detail=error) from error


def _told(args: argparse.Namespace, server: Server, trusted: Stored) -> int:
    if args.json and trusted.facts is not None:
        told: dict[str, Any] = view.facts_json(trusted.facts, dt.datetime.now(dt.UTC))
        give_json({"ok": True, "server": server.name, "path": str(trusted.path), **told})
    return Exit.OK


@contextmanager
def _kept() -> Iterator[None]:
    """What goes wrong with stored certificates, said to a person."""
    try:
        yield
    except DistrustError as error:
        raise said("E-REFUSED-CERTIFICATE", "", detail=error) from error
    except OSError as error:
        raise said("E-CERT-STORE", str(error.filename or ""), reason=error.strerror) from error
