import pytest

from drivers.kit.scan import Point
from gateway.alarm.conditions import Balance
from gateway.alarm.limits import Limits
from gateway.errors import UserFacingError, UserFileErrors
from gateway.replay.header import Header, number_of


def header(*lines: str) -> Header:
    read = Header("case.txt")
    for number, line in enumerate(lines, start=2):
        read.take(number, line.split())
    return read


def mistakes(*lines: str) -> list[tuple[str, str]]:
    try:
        header(*lines).points()
    except UserFacingError as error:
        return [(error.code, error.place)]
    except UserFileErrors as errors:
        return [(error.code, error.place) for error in errors.errors]
    return []


def test_points_are_read_in_the_words_of_the_point_table():
    read = header(
        "point LT-1 高=80 hh=90 死区=H:2,HH:5 on_delay_s=10 锁存=是 description=1#罐", "point XS-1 alarm_on=1"
    )
    points = read.points()
    [tank, contact] = points["plc"]
    assert tank.limits == Limits(h=80.0, hh=90.0, deadband={"H": 2.0, "HH": 5.0}, on_delay_s=10.0)
    assert (tank.conditions.latching, tank.description) == (True, "1#罐")
    assert contact.limits.on == 1
    assert isinstance(tank.point, Point)
    [device] = read.devices(points)
    assert (device.name, device.period_s, device.polled) == ("plc", 1.0, False)


def test_devices_have_a_period_and_may_be_polled_and_one_without_points_is_none():
    read = header("device gas polled period=5", "device other", "point GT-1 device=gas h=25 unit_id=3")
    [device] = read.devices(read.points())
    assert (device.name, device.period_s, device.polled) == ("gas", 5.0, True)
    assert device.points[0].point.unit_id == 3


def test_columns_may_be_changed_later():
    read = header("point LT-1 h=80 hh=90")
    read.change(9, "LT-1", ["h=85", "hh=none"])
    assert read.points()["plc"][0].limits == Limits(h=85.0)


def test_a_balance_names_its_points():
    read = header(
        "point LT-1",
        "point FT-1",
        "balance T level=LT-1 volume_per_unit=78.5 inflows=FT-1 window_s=60 tolerance=2",
    )
    assert read.points()
    assert read.balances["T"] == Balance("T", "LT-1", 78.5, ("FT-1",), (), 60.0, 2.0)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ((), [("E-SCRIPT-EMPTY", "case.txt:1")]),
        (("point",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("point h=80",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("point A h=1", "point A"), [("E-SCRIPT-TWICE", "case.txt:3")]),
        (("point A h=1 高=2",), [("E-SCRIPT-TWICE", "case.txt:2")]),
        (("point A hihg=1",), [("E-POINTS-COLUMN-UNKNOWN", "case.txt:2")]),
        (("point A h",), [("E-POINTS-COLUMN-UNKNOWN", "case.txt:2")]),
        (("point A tag=B",), [("E-POINTS-COLUMN-UNKNOWN", "case.txt:2")]),
        (("device D fast",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("device D period=0",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("device D period=x",), [("E-POINTS-NUMBER", "case.txt:2")]),
        (("device D", "device D"), [("E-SCRIPT-TWICE", "case.txt:3")]),
        (("balance B level=A",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("balance B level=A volume_per_unit=1 leak=2",), [("E-SCRIPT-FORM", "case.txt:2")]),
        (("point A", "balance B level=X volume_per_unit=1"), [("E-SCRIPT-WORD", "case.txt:3")]),
    ],
)
def test_a_mistake_is_told_with_its_line(lines: tuple[str, ...], found: list[tuple[str, str]]):
    assert mistakes(*lines) == found


def test_a_mistake_of_a_point_is_that_of_a_point_table_in_the_scripts_own_line_and_word():
    assert mistakes("point A h=90", "point B 高=80 hh=70", "point C h=5 suppressed_by=XX") == [
        ("E-POINTS-LIMIT-ORDER", "case.txt:3:hh"),
        ("E-POINTS-TAG-UNKNOWN", "case.txt:4:suppressed_by"),
    ]


def test_a_number_may_be_none_at_all():
    assert number_of("８0.5", "x") == 80.5
    assert number_of("nan", "x") != number_of("nan", "x")
    with pytest.raises(UserFacingError, match="E-POINTS-NUMBER"):
        number_of("viel", "x")
