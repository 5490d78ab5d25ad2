"""A camera's ONVIF services: what they answer to a question, by a clock that may be wrong. Touches no socket.

Written from the ONVIF schemas and the WS-Security user name token profile, and by another parser than the driver's.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

SOAP: Final = "{http://www.w3.org/2003/05/soap-envelope}"
WINDOW_S: Final = 5.0
"""A user token whose time differs more from the camera's clock is refused, as real cameras do."""

_HEAD: Final = (
    '<?xml version="1.0" encoding="UTF-8"?><env:Envelope xmlns:env="http://www.w3.org/2003/05/soap-envelope" '
    'xmlns:tds="http://www.onvif.org/ver10/device/wsdl" xmlns:trt="http://www.onvif.org/ver10/media/wsdl" '
    'xmlns:tt="http://www.onvif.org/ver10/schema" xmlns:ter="http://www.onvif.org/ver10/error"><env:Body>'
)
_FOOT: Final = "</env:Body></env:Envelope>"


@dataclass(slots=True)
class OnvifSim:
    """The services of one camera.

    Attributes:
        username: who may ask.
        password: how they prove it.
        ahead_s: how far its clock is ahead.
        profiles: its media profiles.
        snapshot: profile -> address of the snapshot, as the camera believes it to be.
        media: address of the media service, as the camera believes it to be.
        asked: operations, in order, with whether a user was named.
        nonces: user tokens seen; each may come once.
    """

    snapshot: Callable[[str], str]
    media: str
    username: str = "viewer"
    password: str = ""
    ahead_s: float = 0.0
    profiles: tuple[str, ...] = ("main", "sub")
    asked: list[tuple[str, bool]] = field(default_factory=list)
    nonces: set[bytes] = field(default_factory=set)

    def answer(self, question: bytes) -> tuple[str, bytes]:
        """HTTP status and body for a question."""
        envelope = ET.fromstring(question)  # noqa: S314 - the bench asks itself
        body = envelope.find(f"{SOAP}Body")
        assert body is not None
        (asked,) = body
        operation = asked.tag.rpartition("}")[2]
        named = envelope.find(".//{*}UsernameToken")
        self.asked.append((operation, named is not None))
        now = dt.datetime.now(dt.UTC) + dt.timedelta(seconds=self.ahead_s)
        if operation == "GetSystemDateAndTime":
            return "200 OK", _time(now)
        if self.username and (named is None or not self._is_right(named, now)):
            return "400 Bad Request", _fault("ter:NotAuthorized", "Sender not Authorized")
        if operation == "GetCapabilities":
            inside = f"<tt:Media><tt:XAddr>{self.media}</tt:XAddr></tt:Media>"
            return "200 OK", _reply("tds:GetCapabilities", f"<tds:Capabilities>{inside}</tds:Capabilities>")
        if operation == "GetProfiles":
            found = "".join(
                f'<trt:Profiles token="{name}" fixed="true"><tt:Name>{name}</tt:Name></trt:Profiles>'
                for name in self.profiles
            )
            return "200 OK", _reply("trt:GetProfiles", found)
        profile = asked.findtext("{*}ProfileToken") or ""
        if operation == "GetSnapshotUri" and profile in self.profiles:
            address = self.snapshot(profile).replace("&", "&amp;")
            inside = f"<trt:MediaUri><tt:Uri>{address}</tt:Uri></trt:MediaUri>"
            return "200 OK", _reply("trt:GetSnapshotUri", inside)
        return "500 Internal Server Error", _fault(
            "ter:ActionNotSupported", "Optional Action Not Implemented"
        )

    def _is_right(self, token: ET.Element, now: dt.datetime) -> bool:
        said = {part.tag.rpartition("}")[2]: part.text or "" for part in token}
        nonce = base64.b64decode(said["Nonce"])
        mixed = nonce + said["Created"].encode() + self.password.encode()
        wanted = hashlib.sha1(mixed, usedforsecurity=False).digest()
        created = dt.datetime.fromisoformat(said["Created"])
        fresh = abs((now - created).total_seconds()) <= WINDOW_S and nonce not in self.nonces
        self.nonces.add(nonce)
        right = said["Username"] == self.username and base64.b64decode(said["Password"]) == wanted
        return fresh and right


def _time(now: dt.datetime) -> bytes:
    clock = (
        f"<tt:Hour>{now.hour}</tt:Hour><tt:Minute>{now.minute}</tt:Minute><tt:Second>{now.second}</tt:Second>"
    )
    date = f"<tt:Year>{now.year}</tt:Year><tt:Month>{now.month}</tt:Month><tt:Day>{now.day}</tt:Day>"
    utc = f"<tt:UTCDateTime><tt:Time>{clock}</tt:Time><tt:Date>{date}</tt:Date></tt:UTCDateTime>"
    head = "<tt:DateTimeType>Manual</tt:DateTimeType><tt:DaylightSavings>false</tt:DaylightSavings>"
    inside = f"<tds:SystemDateAndTime>{head}{utc}</tds:SystemDateAndTime>"
    return _reply("tds:GetSystemDateAndTime", inside)


def _reply(operation: str, inside: str) -> bytes:
    return f"{_HEAD}<{operation}Response>{inside}</{operation}Response>{_FOOT}".encode()


def _fault(code: str, reason: str) -> bytes:
    value = f"<env:Subcode><env:Value>{code}</env:Value></env:Subcode>"
    inside = f"<env:Code><env:Value>env:Sender</env:Value>{value}</env:Code>"
    text = f'<env:Reason><env:Text xml:lang="en">{reason}</env:Text></env:Reason>'
    return f"{_HEAD}<env:Fault>{inside}{text}</env:Fault>{_FOOT}".encode()
