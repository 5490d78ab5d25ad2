"""All outputs together on real files and real threads."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import orjson
import pytest

from gateway.alarm.life import Alarm, AlarmChanged, acknowledged, cleared
from gateway.instant import Now
from gateway.plant import OutputConfig
from gateway.sirens import Sirens

S = 1_000_000_000


def raised(n=1, name="LT-1", priority=1, **fields):
    return AlarmChanged(
        "raise",
        Alarm(
            f"{name}/high@{n}", f"{name}/high", "limit", name, "plc", priority, "", True, False, "H", "H", "H",
            81.0, 81.0, 80.0, "", n, n, **fields,
        ),
    )  # fmt: skip


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.002)


class Wall:
    """A horn for priority 1, a lamp for all, and a siren that gets every change."""

    def __init__(self, folder):
        self.folder = folder
        self.sirens = Sirens(
            [
                OutputConfig("horn", "file", path=folder / "horn", signal="horn", priorities=(1,)),
                OutputConfig("lamp", "file", path=folder / "lamp", signal="lamp"),
                OutputConfig("siren", "file", path=folder / "siren"),
            ],
            "rev",
        )

    def lines(self, name):
        path = self.folder / name
        return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []

    def shows(self, name, *states):
        until(lambda: [line["on"] for line in self.lines(name)] == [*states])


@pytest.fixture
def wall(tmp_path):
    wall = Wall(tmp_path)
    yield wall
    assert wall.sirens.close() == []
    assert not [t for t in threading.enumerate() if t.name.startswith("output-")]


def test_outputs_are_told_how_they_are_at_the_start(wall):
    wall.sirens.begin([raised().alarm])
    wall.shows("horn", True)
    wall.shows("lamp", True)
    assert wall.lines("siren") == [], "a change is told when it happens"
    assert wall.sirens.signalled == ["horn", "lamp"]


def test_horn_and_lamp_follow_an_alarm(wall):
    wall.sirens.begin([])
    wall.shows("horn", False)
    wall.shows("lamp", False)
    up = raised()
    wall.sirens.sound([up], [up])
    wall.shows("horn", False, True)
    wall.shows("lamp", False, True)
    assert wall.lines("horn")[-1]["because"] == "LT-1/high@1"
    assert wall.sirens.silence() == ["LT-1/high@1"]
    wall.shows("horn", False, True, False)
    seen = acknowledged(up.alarm, "wang", "", 2)
    wall.sirens.sound([seen], [seen])
    gone = cleared(seen.alarm, "returned", 70.0, 81.0, 3)
    wall.sirens.sound([gone], [gone])
    wall.shows("lamp", False, True, False)
    wall.shows("horn", False, True, False)
    until(lambda: [line["transition"] for line in wall.lines("siren")] == ["raise", "ack", "clear"])


def test_what_is_not_told_one_by_one_at_the_start_sounds_all_the_same(wall):
    wall.sirens.begin([])
    wall.shows("horn", False)
    wall.sirens.sound([], [raised(at_start=True)])
    wall.shows("horn", False, True)
    assert wall.lines("siren") == []


def test_a_test_sounds_though_it_is_no_change_of_a_real_alarm(wall):
    wall.sirens.begin([])
    wall.shows("horn", False)
    up = raised()
    test = replace(up, alarm=replace(up.alarm, alarm_id="test:LT-1/high@1", test=True))
    wall.sirens.sound([test], [])
    wall.shows("horn", False, True)
    assert wall.lines("horn")[-1]["because"] == "test:LT-1/high@1"
    wall.sirens.sound([cleared(test.alarm, "test_ended", None, 81.0, 5)], [])
    wall.shows("horn", False, True, False)


def test_a_lamp_test_ends_by_its_tick(wall):
    wall.sirens.begin([])
    wall.shows("horn", False)
    wall.shows("lamp", False)
    wall.sirens.lamp_test(5.0, Now(0, 0))
    assert wall.sirens.next_deadline == 5 * S
    wall.shows("horn", False, True)
    wall.shows("lamp", False, True)
    assert [view.get("lamp_test") for view in wall.sirens.view()] == [True, True, None]
    wall.sirens.tick(Now(5 * S - 1, 0))
    assert wall.sirens.view()[0]["on"]
    wall.sirens.tick(Now(5 * S, 0))
    wall.shows("horn", False, True, False)


def test_a_hanging_output_delays_no_other_and_is_named(tmp_path):
    sirens = Sirens(
        [
            OutputConfig("stuck", "command", argv=("/bin/sleep", "30"), signal="horn"),
            OutputConfig("none", "gpio", chip=str(tmp_path / "gpiochip0"), line=1, signal="lamp"),
            OutputConfig("horn", "file", path=tmp_path / "horn", signal="horn"),
        ],
        "rev",
    )
    sirens.begin([])
    up = raised()
    sirens.sound([up], [up])
    until(lambda: b"true" in ((tmp_path / "horn").read_bytes() if (tmp_path / "horn").exists() else b""))
    until(lambda: dict(sirens.failures())["none"])
    assert dict(sirens.failures())["horn"] == ""
    assert sirens.close() == ["stuck"]
    until(lambda: not [t for t in threading.enumerate() if t.name.startswith("output-")])
