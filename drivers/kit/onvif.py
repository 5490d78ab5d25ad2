"""ONVIF: the four questions a camera is asked, and what its answers say. Decides texts, touches nothing.

There is no other text here, and ``operation`` recognises no other: nothing that changes a camera can be asked.
Answers are foreign text: bounded, and refused with a document type, the only place where XML can grow by itself.

Source: ONVIF Core Specification (device service, GetSystemDateAndTime needs no user; section on user name tokens),
ONVIF Media Service Specification (GetProfiles, GetSnapshotUri), OASIS WS-Security UsernameToken Profile 1.0.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from typing import Final
from xml.parsers import expat
from xml.sax.saxutils import escape

MAX_ANSWER_BYTES: Final = 256 << 10
MAX_DEPTH: Final = 64
_SOAP: Final = "http://www.w3.org/2003/05/soap-envelope"
_DEVICE: Final = "http://www.onvif.org/ver10/device/wsdl"
_MEDIA: Final = "http://www.onvif.org/ver10/media/wsdl"
_WSS: Final = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-"
_TIME: Final = (
    *(("Date", name) for name in ("Year", "Month", "Day")),
    *(("Time", name) for name in ("Hour", "Minute", "Second")),
)
READING: Final = {
    "GetSystemDateAndTime": _DEVICE,
    "GetCapabilities": _DEVICE,
    "GetProfiles": _MEDIA,
    "GetSnapshotUri": _MEDIA,
}
"""Every operation that may be asked, and its namespace."""


class OnvifError(ValueError):
    """The answer is no use; says why.

    Attributes:
        refused: the camera does not know the user, or does not allow it.
    """

    def __init__(self, what: str, *, refused: bool = False) -> None:
        super().__init__(what)
        self.refused = refused


def time_question() -> bytes:
    """What is the camera's time? Asked without a user: its answer is needed to name one."""
    return _envelope("GetSystemDateAndTime", "")


def services_question(header: str) -> bytes:
    """Where is the media service?"""
    return _envelope("GetCapabilities", "<Category>Media</Category>", header)


def profiles_question(header: str) -> bytes:
    """Which media profiles are there?"""
    return _envelope("GetProfiles", "", header)


def snapshot_question(profile: str, header: str) -> bytes:
    """At which address is this profile's snapshot?"""
    return _envelope("GetSnapshotUri", f"<ProfileToken>{escape(profile)}</ProfileToken>", header)


def user_header(username: str, password: str, nonce: bytes, camera_time: dt.datetime) -> str:
    """The user by WS-UsernameToken, the password as digest; "" without a user.

    Args:
        username: as on the camera.
        password: as on the camera.
        nonce: random, new for every question.
        camera_time: now by the camera's own clock, for it refuses what is older than a few seconds.
    """
    if not username:
        return ""
    created = f"{camera_time.astimezone(dt.UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
    mixed = nonce + created.encode() + password.encode()
    digest = base64.b64encode(hashlib.sha1(mixed, usedforsecurity=False).digest()).decode()
    return (
        f'<Security s:mustUnderstand="1" xmlns="{_WSS}wssecurity-secext-1.0.xsd"><UsernameToken>'
        f"<Username>{escape(username)}</Username>"
        f'<Password Type="{_WSS}username-token-profile-1.0#PasswordDigest">{digest}</Password>'
        f'<Nonce EncodingType="{_WSS}soap-message-security-1.0#Base64Binary">'
        f"{base64.b64encode(nonce).decode()}</Nonce>"
        f'<Created xmlns="{_WSS}wssecurity-utility-1.0.xsd">{created}</Created>'
        "</UsernameToken></Security>"
    )


def _envelope(operation: str, inside: str, header: str = "") -> bytes:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><s:Envelope xmlns:s="{_SOAP}"><s:Header>{header}</s:Header>'
        f'<s:Body><{operation} xmlns="{READING[operation]}">{inside}</{operation}></s:Body></s:Envelope>'
    ).encode()


def operation(question: bytes) -> str:
    """Which operation a question asks for, if it is one of ``READING`` and nothing else.

    Raises:
        OnvifError: it is not.
    """
    asked = [path for path, _ in _read(question).starts if len(path) == 3 and path[1] == f"{_SOAP} Body"]
    names = {f"{namespace} {name}": name for name, namespace in READING.items()}
    if len(asked) != 1 or asked[0][2] not in names:
        raise OnvifError("this is not a reading operation")
    return names[asked[0][2]]


def camera_time(answer: bytes) -> dt.datetime | None:
    """The camera's time in UTC; None where it does not say."""
    said = _read(answer)
    parts = []
    for place in _TIME:
        text = said.text("UTCDateTime", *place)
        if not text.isascii() or not text.isdigit() or len(text) > 4:
            return None
        parts.append(int(text))
    try:
        return dt.datetime(*parts[:5], min(parts[5], 59), tzinfo=dt.UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def media_address(answer: bytes) -> str:
    """Address of the media service; "" where the answer names none."""
    return _read(answer).text("Media", "XAddr")


def profile_tokens(answer: bytes) -> list[str]:
    """Tokens of the media profiles, in the camera's order."""
    return [
        attributes["token"]
        for path, attributes in _read(answer).starts
        if path[-1] == f"{_MEDIA} Profiles" and "token" in attributes
    ]


def snapshot_address(answer: bytes) -> str:
    """Address of the snapshot.

    Raises:
        OnvifError: the answer names none.
    """
    address = _read(answer).text("MediaUri", "Uri")
    if not address:
        raise OnvifError("the camera names no snapshot address for this profile")
    return address


def _read(answer: bytes) -> _Reader:
    """Parse an answer.

    Raises:
        OnvifError: no XML that may be trusted, or a fault.
    """
    if len(answer) > MAX_ANSWER_BYTES:
        raise OnvifError(f"the answer has more than {MAX_ANSWER_BYTES} bytes")
    reader = _Reader()
    try:
        reader.parse(answer)
    except (expat.ExpatError, ValueError, LookupError) as error:
        if isinstance(error, OnvifError):
            raise
        raise OnvifError("the answer is not XML") from error
    if any(path[-1] == f"{_SOAP} Fault" for path, _ in reader.starts):
        said = reader.text("Reason", "Text") or "no reason"
        codes = " ".join(reader.text(*("Code", *["Subcode"] * deep, "Value")) for deep in range(3))
        refused = any(word in f"{codes} {said}".lower() for word in ("notauthorized", "authori"))
        raise OnvifError(f"the camera refuses: {' '.join(said.split())[:200]}", refused=refused)
    return reader


class _Reader:
    """Elements of one document: where each stands, its attributes, its text."""

    def __init__(self) -> None:
        self.starts: list[tuple[tuple[str, ...], dict[str, str]]] = []
        self._texts: list[tuple[tuple[str, ...], list[str]]] = []
        self._path: list[str] = []
        self._open: list[list[str]] = []

    def parse(self, document: bytes) -> None:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters
        parser.Parse(document, True)

    def text(self, *names: str) -> str:
        """Text of the first element whose path ends in these names, whatever their namespaces."""
        for path, text in self._texts:
            if tuple(step.rpartition(" ")[2] for step in path[-len(names) :]) == names:
                return "".join(text).strip()
        return ""

    def _doctype(self, *_: object) -> None:
        raise OnvifError("the answer has a document type, which no camera needs")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._path) == MAX_DEPTH:
            raise OnvifError("the answer is nested too deeply")
        self._path.append(name)
        path = tuple(self._path)
        self.starts.append((path, attributes))
        self._open.append([])
        self._texts.append((path, self._open[-1]))

    def _end(self, _name: str) -> None:
        self._path.pop()
        self._open.pop()

    def _characters(self, text: str) -> None:
        if self._open:
            self._open[-1].append(text)
