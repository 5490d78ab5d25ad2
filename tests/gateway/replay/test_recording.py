import math

import pytest

from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.engine import WatchedDevice
from gateway.errors import UserFileErrors
from gateway.plant import PointConfig
from gateway.replay import recording
from gateway.replay.recording import read_recording


def point(name: str, **conditions: object) -> PointConfig:
    return PointConfig(Point(name, "0"), limits=Limits(h=80.0), conditions=Conditions(**conditions))  # type: ignore[arg-type]


DEVICES = (
    WatchedDevice("a", (point("A-1"), point("A-2", suppressed_by="B-2"), point("A-3")), 1.0, polled=True),
    WatchedDevice("b", (point("B-1"), point("B-2"))),
    WatchedDevice("c", (point("C-1"),)),
)
HEAD = "时间,位号,数值,质量\n"
T0 = 1_763_782_260_000_000_000  # 2025-11-22 11:31:00 in Beijing


def read(rows: str, head: str = HEAD) -> list[tuple[int, dict[str, dict[int, tuple[float, int]]]]]:
    return [(at - T0, what) for at, what in read_recording((head + rows).encode(), "r.csv", DEVICES).scans]


def mistakes(text: str) -> list[tuple[str, str]]:
    with pytest.raises(UserFileErrors) as caught:
        read_recording(text.encode(), "r.csv", DEVICES)
    assert all(error.line("zh") and error.line("en") for error in caught.value.errors)
    return [(error.code, error.place) for error in caught.value.errors]


def test_rows_of_one_instant_are_one_scan_of_each_device_whatever_their_order():
    rows = (
        "2025-11-22T11:31:01+08:00,A-1,2,good\n"
        "2025-11-22T03:31:00Z,B-1,5,好\n"
        "2025-11-22 11:31:00,A-3,3,\n"
        "2025/11/22 11:31:00,A-1,1,192\n"
    )
    assert read(rows) == [
        (0, {"b": {0: (5.0, GOOD)}, "a": {0: (1.0, GOOD), 1: (3.0, GOOD)}}),
        (1_000_000_000, {"a": {0: (2.0, GOOD)}}),
    ]


def test_a_point_twice_at_one_instant_is_read_twice():
    assert read("2025-11-22 11:31:00,A-1,1,\n2025-11-22 11:31:00,A-1,2,\n") == [
        (0, {"a": {0: (1.0, GOOD)}}),
        (0, {"a": {0: (2.0, GOOD)}}),
    ]


def test_only_recorded_points_are_judged_and_those_that_decide_about_them_and_none_is_silent():
    devices = read_recording((HEAD + "2025-11-22 11:31:00,A-2,1,\n").encode(), "r.csv", DEVICES).devices
    assert [(d.name, [p.point.name for p in d.points]) for d in devices] == [("a", ["A-2"]), ("b", ["B-2"])]
    assert not any(device.polled for device in devices)


@pytest.mark.parametrize(
    ("cell", "byte"),
    [
        ("bad comm", bad(Cause.COMM)),
        ("坏/device_fault", bad(Cause.DEVICE_FAULT)),
        ("uncertain:over_range", quality(Status.UNCERTAIN, Cause.OVER_RANGE)),
        ("可疑", quality(Status.UNCERTAIN)),
        ("64", quality(Status.UNCERTAIN)),
        ("０", bad(Cause.NONE)),
        ("Good", GOOD),
    ],
)
def test_quality_in_words_or_as_a_number_of_opc_da(cell: str, byte: int):
    [(_, what)] = read(f"2025-11-22 11:31:00,A-1,7,{cell}\n")
    value, got = what["a"][0]
    assert got == byte
    assert math.isnan(value) == (byte & 3 == Status.BAD)


def test_english_headings_in_another_order_without_quality_and_in_gb18030():
    text = "tag;value;timestamp;备注\nA-1;80;2025-11-22 11:31:00.250;阀门\n".encode("gb18030")
    [(at, what)] = read_recording(text, "r.csv", DEVICES).scans
    assert (at - T0, what) == (250_000_000, {"a": {0: (80.0, GOOD)}})


def test_a_good_reading_without_a_number_is_left_to_the_engine():
    [(_, what)] = read("2025-11-22 11:31:00,A-1,,good\n")
    assert math.isnan(what["a"][0][0])


@pytest.mark.parametrize(
    ("rows", "code", "place"),
    [
        ("", "E-SCRIPT-SCANS", "r.csv"),
        ("11:31,A-1,1,\n", "E-SCRIPT-STAMP", "r.csv:2:A"),
        ("2025-13-22 11:31:00,A-1,1,\n", "E-SCRIPT-STAMP", "r.csv:2:A"),
        ("2025-11-22 11:31:00,X-1,1,\n", "E-SCRIPT-POINT", "r.csv:2:B"),
        ("2025-11-22 11:31:00,A-1,viel,\n", "E-POINTS-NUMBER", "r.csv:2:C"),
        ("2025-11-22 11:31:00,A-1,1,fine\n", "E-SCRIPT-WORD", "r.csv:2:D"),
        ("2025-11-22 11:31:00,A-1,1,bad com\n", "E-SCRIPT-WORD", "r.csv:2:D"),
        ('2025-11-22 11:31:00,A-1,"1\n', "E-POINTS-QUOTES", "r.csv:2"),
    ],
)
def test_a_mistake_is_told_with_its_place(rows: str, code: str, place: str):
    assert mistakes(HEAD + rows) == [(code, place)]


def test_a_date_with_a_wrong_year_is_told_before_the_years_between_are_judged():
    assert mistakes(HEAD + "2015-11-22 11:31:00,A-1,1,\n2025-11-22 11:31:00,A-1,1,\n") == [
        ("E-SCRIPT-SPAN", "r.csv")
    ]


def test_a_missing_column_is_told():
    assert mistakes("时间,位号\n2025-11-22 11:31:00,A-1\n") == [("E-SCRIPT-COLUMN", "r.csv:1")]


def test_a_recording_has_a_bound_and_so_have_its_mistakes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recording, "MOST_ROWS", 2)
    assert mistakes(HEAD + "2025-11-22 11:31:00,A-1,1,\n" * 3) == [("E-SCRIPT-LONG", "r.csv:4")]
    monkeypatch.setattr(recording, "MOST_ROWS", 1000)
    assert len(mistakes(HEAD + "x,A-1,1,\n" * 300)) == recording.MOST_MISTAKES
