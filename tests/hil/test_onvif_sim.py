"""The bench's ONVIF services refuse what a real camera refuses; asked here by texts written in this file."""

import base64
import datetime as dt
import hashlib

import pytest

from hil.onvif_sim import WINDOW_S, OnvifSim

WSSE = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd"
MEDIA = "http://www.onvif.org/ver10/media/wsdl"
DEVICE = "http://www.onvif.org/ver10/device/wsdl"


def question(operation, namespace, header="", inside=""):
    soap = "http://www.w3.org/2003/05/soap-envelope"
    body = f'<x:{operation} xmlns:x="{namespace}">{inside}</x:{operation}>'
    return f'<e:Envelope xmlns:e="{soap}"><e:Header>{header}</e:Header><e:Body>{body}</e:Body></e:Envelope>'.encode()


def token(password="secret", *, off_s=0.0, nonce=b"nonce-1", user="viewer"):
    created = (dt.datetime.now(dt.UTC) + dt.timedelta(seconds=off_s)).isoformat()
    digest = base64.b64encode(hashlib.sha1(nonce + created.encode() + password.encode()).digest()).decode()
    told = {
        "Username": user,
        "Password": digest,
        "Nonce": base64.b64encode(nonce).decode(),
        "Created": created,
    }
    inside = "".join(f"<w:{name}>{text}</w:{name}>" for name, text in told.items())
    return f'<w:Security xmlns:w="{WSSE}"><w:UsernameToken>{inside}</w:UsernameToken></w:Security>'


def sim(**how):
    return OnvifSim(lambda profile: f"http://cam/{profile}", "http://cam/media", password="secret", **how)


def test_the_time_is_told_to_anybody():
    status, body = sim(ahead_s=86_400).answer(question("GetSystemDateAndTime", DEVICE))
    tomorrow = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    assert status == "200 OK"
    assert f"<tt:Day>{tomorrow.day}</tt:Day>".encode() in body


@pytest.mark.parametrize(
    ("header", "known"),
    [
        (token, True),
        (lambda: "", False),
        (lambda: token("wrong"), False),
        (lambda: token(user="admin"), False),
        (lambda: token(off_s=-2 * WINDOW_S), False),
        (lambda: token(off_s=2 * WINDOW_S), False),
    ],
)
def test_only_a_right_and_fresh_token_is_taken(header, known):
    status, body = sim().answer(question("GetProfiles", MEDIA, header()))
    assert (status == "200 OK") is known
    assert (b'token="main"' in body) is known


def test_a_token_counts_once_and_by_the_cameras_own_clock():
    one = sim(ahead_s=3600)
    header = token(off_s=3600)
    asked = question("GetSnapshotUri", MEDIA, header, "<x:ProfileToken>sub</x:ProfileToken>")
    assert b"http://cam/sub" in one.answer(asked)[1]
    assert b"NotAuthorized" in one.answer(asked)[1]
    assert one.asked == [("GetSnapshotUri", True)] * 2


def test_what_it_does_not_know_is_a_fault():
    status, body = sim().answer(question("SystemReboot", DEVICE, token()))
    assert status.startswith("500")
    assert b"ActionNotSupported" in body
