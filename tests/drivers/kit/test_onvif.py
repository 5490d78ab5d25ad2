"""ONVIF texts: what is asked is reading only, and what comes back may be anything."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit import onvif
from hil.onvif_sim import OnvifSim

SIM = OnvifSim(lambda profile: f"http://cam/{profile}?a=1&b=2", "http://cam/media", username="")


def asked(question: bytes) -> bytes:
    return SIM.answer(question)[1]


def test_every_question_is_a_reading_one_and_its_answer_is_read():
    questions = {
        "GetSystemDateAndTime": onvif.time_question(),
        "GetCapabilities": onvif.services_question(""),
        "GetProfiles": onvif.profiles_question(""),
        "GetSnapshotUri": onvif.snapshot_question("main", ""),
    }
    assert {name: onvif.operation(question) for name, question in questions.items()} == {
        n: n for n in questions
    }
    assert set(questions) == set(onvif.READING)
    now = dt.datetime.now(dt.UTC)
    assert abs(onvif.camera_time(asked(questions["GetSystemDateAndTime"])) - now) < dt.timedelta(seconds=2)
    assert onvif.media_address(asked(questions["GetCapabilities"])) == "http://cam/media"
    assert onvif.profile_tokens(asked(questions["GetProfiles"])) == ["main", "sub"]
    assert onvif.snapshot_address(asked(questions["GetSnapshotUri"])) == "http://cam/main?a=1&b=2"


def test_a_profile_cannot_bring_in_another_operation():
    question = onvif.snapshot_question("</ProfileToken></GetSnapshotUri><SystemReboot/>", "")
    assert onvif.operation(question) == "GetSnapshotUri"
    assert b"<SystemReboot" not in question


@pytest.mark.parametrize(
    "change",
    [
        (b"GetProfiles", b"SetProfiles"),
        (b"media/wsdl", b"ptz/wsdl"),
        (b"<s:Body>", b"<s:Body><SystemReboot/>"),
        (b"</s:Envelope>", b""),
    ],
)
def test_anything_else_is_no_reading_operation(change):
    with pytest.raises(onvif.OnvifError):
        onvif.operation(onvif.profiles_question("").replace(*change))


def test_the_user_token_is_what_the_profile_says():
    moment = dt.datetime(2026, 11, 22, 7, 0, 1, 234_567, tzinfo=dt.UTC)
    header = onvif.user_header("a<b", "geheim", b"0123456789abcdef", moment)
    found = dict(re.findall(r"<(\w+)[^>]*>([^<]*)</", header))
    assert found["Username"] == "a&lt;b"
    assert found["Created"] == "2026-11-22T07:00:01.234Z"
    mixed = base64.b64decode(found["Nonce"]) + found["Created"].encode() + b"geheim"
    assert base64.b64decode(found["Password"]) == hashlib.sha1(mixed).digest()
    assert "geheim" not in header
    assert onvif.user_header("", "geheim", b"", moment) == ""


BOMB = b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "x">%s]><a>&c9;</a>' % b"".join(
    b'<!ENTITY c%d "%s">' % (n, b"&%s;" % (b"c%d" % (n - 1) if n else b"b") * 10) for n in range(10)
)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "not XML"),
        (b"<html><br></html>", "not XML"),
        (b"\xff\xfe", "not XML"),
        (b'<?xml version="1.0" encoding="no-such"?><a/>', "not XML"),
        (BOMB, "document type"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type"),
        (b"<a>" * 100 + b"</a>" * 100, "deeply"),
        (b"<a>" + b" " * onvif.MAX_ANSWER_BYTES + b"</a>", "more than"),
        (b"<a/>", "no snapshot address"),
    ],
)
def test_a_hostile_answer_is_an_error(answer, words):
    with pytest.raises(onvif.OnvifError, match=words) as caught:
        onvif.snapshot_address(answer)
    assert not caught.value.refused


def test_a_fault_is_told_and_says_whether_the_user_is_refused():
    locked = OnvifSim(lambda _: "", "", username="viewer")
    with pytest.raises(onvif.OnvifError, match="not Authorized") as caught:
        onvif.profile_tokens(locked.answer(onvif.profiles_question(""))[1])
    assert caught.value.refused
    with pytest.raises(onvif.OnvifError, match="Not Implemented") as caught:
        onvif.snapshot_address(asked(onvif.snapshot_question("third", "")))
    assert not caught.value.refused


@pytest.mark.parametrize(
    "change",
    [
        (b"<tt:Year>", b"<tt:Year>x"),
        (b"<tt:Month>", b"<tt:Month>9"),
        (b"UTCDateTime", b"LocalDateTime"),
        (b"<tt:Day>", b"<tt:Day>\xd9\xa1"),
    ],
)
def test_a_time_that_is_none_is_none(change):
    assert onvif.camera_time(asked(onvif.time_question()).replace(*change)) is None


@given(st.binary(max_size=200), st.integers(0, 600))
def test_whatever_comes_is_an_answer_or_an_error(noise, at):
    good = asked(onvif.profiles_question(""))
    for answer in (noise, good[:at] + noise + good[at:]):
        for read in (onvif.camera_time, onvif.media_address, onvif.profile_tokens, onvif.snapshot_address):
            with suppress(onvif.OnvifError):
                read(answer)
