import math

import pytest

from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from gateway.errors import UserFileErrors
from gateway.replay import language
from gateway.replay.language import read_script
from gateway.replay.script import Expected, NewLimits, Order, OwnPart, Read, Restart, SetClock, Wait

POINTS = "# two points\npoint LT-1 h=80\npoint LT-2 h=80\n"


def deed(line: str) -> object:
    [moment] = read_script(f"{POINTS}10s {line}\n", "case.txt").moments
    assert moment.at_ns == 10_000_000_000
    assert moment.line == 4
    return moment.deed


def expected(text: str) -> tuple[Expected, ...]:
    [moment] = read_script(f"{POINTS}10s wait {text}\n", "case.txt").moments
    return moment.expected


def mistakes(text: str) -> list[tuple[str, str]]:
    with pytest.raises(UserFileErrors) as caught:
        read_script(text, "case.txt")
    for error in caught.value.errors:
        assert error.line("zh")
        assert error.line("en")
    return [(error.code, error.place) for error in caught.value.errors]


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("LT-1 80.0", (80.0, GOOD)),
        ("LT-1 -5 好", (-5.0, GOOD)),
        ("LT-1 95 uncertain over_range", (95.0, quality(Status.UNCERTAIN, Cause.OVER_RANGE))),
        ("LT-1 95 可疑", (95.0, quality(Status.UNCERTAIN))),
    ],
)
def test_a_reading(text: str, reading: tuple[float, int]):
    assert deed(text) == Read({"plc": {0: reading}})


def test_a_bad_reading_need_not_have_a_number():
    read = deed("LT-1 bad comm")
    assert isinstance(read, Read)
    value, byte = read.readings["plc"][0]
    assert math.isnan(value)
    assert byte == bad(Cause.COMM)
    assert deed("LT-1 95 bad") == Read({"plc": {0: (95.0, bad(Cause.NONE))}})


def test_readings_of_one_line_are_one_scan_in_the_order_of_the_points():
    assert deed("LT-2 1，LT-1 2") == Read({"plc": {0: (2.0, GOOD), 1: (1.0, GOOD)}})
    assert deed("plc 5") == Read({"plc": {0: (5.0, GOOD), 1: (5.0, GOOD)}})


def test_what_people_want():
    assert deed('ack LT-1/high by 王工 "阀门已关"') == Order("ack", "LT-1/high", "王工", "阀门已关")
    assert deed('shelve LT-1 for 2min by 王工 "修"') == Order("shelve", "LT-1", "王工", "修", 120.0)
    assert deed('停用 LT-1 历时 1时 由 王工 "修"') == Order("out_of_service", "LT-1", "王工", "修", 3600.0)
    test = deed('test LT-1 95 for 60s by wang "x"')
    assert test == Order("test", "LT-1", "wang", "x", 60.0, 95.0)
    end = deed("end_test LT-1 by wang")
    assert isinstance(end, Order)
    assert (end.kind, end.by) == ("end_test", "wang")


def test_what_else_happens():
    assert deed("restart") == Restart()
    assert deed("restart for 1min") == Restart(60_000_000_000)
    assert deed("wait") == deed("") == deed("等待") == Wait()
    assert deed("clock -1h") == SetClock(-3_600_000_000_000)
    assert deed("gateway disk hung up") == OwnPart("disk", "hung up")
    assert deed("网关 disk 正常") == OwnPart("disk", "")
    changed = deed("limits LT-2 h=70 deadband=1")
    assert isinstance(changed, NewLimits)
    assert (changed.tag, changed.limits.h, changed.limits.deadband) == ("LT-2", 70.0, 1.0)


def test_a_change_of_limits_leaves_the_points_as_they_were_configured():
    script = read_script(f"{POINTS}1s limits LT-1 h=none\n2s limits LT-1 h=60\n", "case.txt")
    assert script.devices[0].points[0].limits.h == 80.0
    assert [m.deed.limits.h for m in script.moments if isinstance(m.deed, NewLimits)] == [None, 60.0]


def test_what_is_expected():
    first, second, third = expected("-> raise LT-1/high H value=80 sounds; 9.5s clear LT-1/high； 无")
    assert (first.kind, first.name, first.level) == ("raise", "LT-1/high", "H")
    assert first.facts == {"value": "80", "sounds": "yes"}
    assert (second.kind, second.level, second.at_ns) == ("clear", "", 9_500_000_000)
    assert third.kind == "nothing"
    [test] = expected("→ test raise LT-1/high HH")
    assert test.facts == {"test": "yes"}
    [journal] = expected("-> journal operator_action action=ack")
    assert (journal.name, journal.facts) == ("operator_action", {"action": "ack"})


def test_what_is_expected_may_stand_in_lines_of_its_own():
    text = f"{POINTS}10s wait -> nothing\n  gone LT-1/high\n   # a comment\n\t-> gone LT-2/high\n"
    [moment] = read_script(text, "case.txt").moments
    assert [(one.kind, one.line) for one in moment.expected] == [("nothing", 4), ("gone", 5), ("gone", 7)]


def test_a_script_knows_whether_it_expects_anything():
    assert not read_script(f"{POINTS}1s wait\n", "case.txt").expects
    script = read_script(f"\ufeff{POINTS}1s wait -> nothing\n", "case.txt")
    assert script.expects
    assert script.title == "two points"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("LT-1 80", "E-SCRIPT-TIME"),
        ("10 LT-1 80", "E-SCRIPT-TIME"),
        ("-1s LT-1 80", "E-SCRIPT-TIME"),
        ("32000min wait\n50000min wait", "E-SCRIPT-TIME"),
        ("10s LT-9 80", "E-SCRIPT-WORD"),
        ("10s akc LT-1/high by x", "E-SCRIPT-WORD"),
        ("10s LT-1", "E-SCRIPT-FORM"),
        ("10s LT-1 good", "E-SCRIPT-FORM"),
        ("10s LT-1 viel", "E-POINTS-NUMBER"),
        ("10s LT-1 80 fine", "E-SCRIPT-WORD"),
        ("10s LT-1 bad com", "E-SCRIPT-WORD"),
        ("10s LT-1 bad comm now", "E-SCRIPT-WORD"),
        ("10s ack", "E-SCRIPT-FORM"),
        ("10s shelve LT-1 for", "E-SCRIPT-FORM"),
        ("10s shelve LT-1 for ever by x", "E-SCRIPT-TIME"),
        ("10s test LT-1 many", "E-POINTS-NUMBER"),
        ("10s clock", "E-SCRIPT-FORM"),
        ("10s restart now", "E-SCRIPT-FORM"),
        ("10s restart for 60s\n69s wait", "E-SCRIPT-BACK"),
        ("10s gateway disk", "E-SCRIPT-FORM"),
        ("10s limits LT-9 h=1", "E-SCRIPT-WORD"),
        ("10s limits LT-1 hihg=1", "E-POINTS-COLUMN-UNKNOWN"),
        ("10s wait -> rise LT-1/high", "E-SCRIPT-WORD"),
        ("10s wait -> raise", "E-SCRIPT-FORM"),
        ("10s wait -> raise LT-1/high HHH", "E-SCRIPT-WORD"),
        ("10s wait -> 5s", "E-SCRIPT-WORD"),
        ("  nothing", "E-SCRIPT-EXPECTED"),
        ("-> nothing", "E-SCRIPT-EXPECTED"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_remedy(line: str, code: str):
    number = 5 if "\n" in line else 4
    assert mistakes(f"{POINTS}{line}\n") == [(code, f"case.txt:{number}")]


def test_a_mistake_of_new_limits_is_told_too():
    [(code, place)] = mistakes(f"{POINTS}10s limits LT-1 hh=70\n")
    assert (code, place) == ("E-POINTS-LIMIT-ORDER", "case.txt:2:hh")


def test_mistakes_come_all_at_once_in_the_order_of_the_lines():
    text = "# a\npoint A h=1\nx\n5s A 1\n4s A 1\npoint B\n"
    assert mistakes(text) == [
        ("E-SCRIPT-TIME", "case.txt:3"),
        ("E-SCRIPT-BACK", "case.txt:5"),
        ("E-SCRIPT-HEADER", "case.txt:6"),
    ]


@pytest.mark.parametrize("text", ["", "point A h=1\n1s A 1\n"])
def test_a_script_has_a_title(text: str):
    assert mistakes(text)[0] == ("E-SCRIPT-TITLE", "case.txt:1")


def test_a_script_has_a_bound(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(language, "MOST_LINES", 4)
    assert mistakes(f"{POINTS}1s wait\n2s wait\n") == [("E-SCRIPT-LONG", "case.txt:5")]
