"""The scripts of ``tests/gateway/alarms`` played, and the player's own promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.alarm.parts import PARTS, TRANSITIONS
from gateway.engine import Engine
from gateway.replay import play as module
from gateway.replay.language import read_script
from gateway.replay.play import Happened, Stage, alarm_facts, facts_of, play
from gateway.replay.script import FACTS, Script

FOLDER = Path(__file__).resolve().parents[1] / "alarms"
CASES = sorted(FOLDER.glob("*.txt"))

TANK = "# a tank\npoint LT-1 h=80 hh=90 deadband=2 on_delay_s=H:5\n"


def read(path: Path) -> Script:
    return read_script(path.read_text(encoding="utf-8"), path.name)


def played(text: str) -> list[str]:
    happened, differences = play(read_script(TANK + text, "case.txt"))
    assert differences == []
    return [f"{one.at_ns / 1e9:g} {one.text}" for one in happened]


def differing(text: str) -> list[tuple[int, str, bool, str]]:
    _, differences = play(read_script(TANK + text, "case.txt"))
    return [(d.line, d.text, d.happened, d.instead) for d in differences]


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_script_happens_as_it_says(path: Path):
    script = read(path)
    assert script.expects
    _, differences = play(script)
    assert differences == []


@pytest.fixture(scope="module")
def everything() -> list[Happened]:
    return [one for path in CASES for one in play(read(path))[0]]


def test_every_transition_of_every_part_happens_in_some_script(everything: list[Happened]):
    seen = {
        (part.name, bool(getattr(one.before, part.name)), one.change.transition)
        for one in everything
        if one.change is not None
        for part in PARTS
    }
    wanted = {(part.name, stands, transition) for part in PARTS for stands, transition in part.table}
    assert wanted - seen == set()
    assert {transition for _, _, transition in seen} == set(TRANSITIONS)


def test_every_script_plays_the_same_twice(everything: list[Happened]):
    assert [one for path in CASES for one in play(read(path))[0]] == everything


def test_what_a_script_may_say_is_what_the_player_knows(everything: list[Happened]):
    change = next(one.change for one in everything if one.change is not None)
    assert set(facts_of(change, sounds=True)) == set(FACTS)
    assert set(alarm_facts(change.alarm)) < set(FACTS)


def test_a_delay_ends_at_its_own_time_between_two_lines():
    assert played("1s LT-1 50\n2s LT-1 85\n60s wait\n61s LT-1 50") == [
        "7 raise LT-1/high H",
        "61 clear LT-1/high H",
    ]


def test_what_is_not_expected_and_what_does_not_happen_are_both_told():
    assert differing("1s LT-1 50 -> raise LT-1/high H\n2s LT-1 95") == [
        (3, "raise LT-1/high H", False, ""),
        (4, "2s raise LT-1/high HH", True, ""),
    ]
    assert differing("1s LT-1 50\n2s LT-1 95 -> raise LT-1/high HH value=96") == [
        (4, "raise LT-1/high HH value=96", False, "2s raise LT-1/high HH value=95"),
        (4, "2s raise LT-1/high HH", True, ""),
    ]
    assert differing("1s LT-1 95 -> 2s raise LT-1/high HH")[0] == (
        3,
        "2s raise LT-1/high HH",
        False,
        "1s raise LT-1/high HH",
    )


@pytest.mark.parametrize(
    ("line", "instead"),
    [
        ("stands LT-1/high H", "HH"),
        ("stands LT-1/high HH last_known", "HH last_known=no"),
        ("stands LT-1/high peak=94", "HH peak=95"),
        ("stands LT-1/low", ""),
        ("gone LT-1/high", ""),
        ("refused E-REFUSED-RESET", ""),
        ("journal operator_action", ""),
        ("nothing", ""),
    ],
)
def test_a_wrong_expectation_is_told(line: str, instead: str):
    found = differing(f"1s LT-1 95\n   raise LT-1/high HH; {line}")
    if line == "nothing":
        assert found == []  # says nothing beside what is said
    else:
        assert found == [(4, line, False, instead)]


def test_a_script_without_expectations_is_only_played():
    assert len(played("1s LT-1 95\n2s LT-1 50")) == 2


def test_a_refusal_is_told_with_its_code():
    assert played('1s shelve LT-1 for 60s by wang ""\n2s ack XX by wang') == [
        "1 refused E-REFUSED-REASON",
        "2 refused E-NAME-ALARM",
    ]


def test_a_restart_knows_only_what_the_record_kept_and_has_another_monotonic_clock():
    stage = Stage(read_script(TANK + "0s wait", "case.txt").devices)
    stage.see({"plc": {0: (95.0, 3)}})
    first = stage.engine
    stage.until(10_000_000_000)
    before = stage.now()
    stage.do(module.Restart())
    assert stage.engine is not first
    assert list(stage.engine.alarms) == ["LT-1/high"]
    assert stage.now().mono_ns < before.mono_ns
    assert stage.now().utc_ns == before.utc_ns


def test_an_engine_that_never_decides_is_told_and_does_not_hang(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Engine, "next_deadline", property(lambda _: 0))
    with pytest.raises(AssertionError, match="does not decide"):
        played("1s wait")
