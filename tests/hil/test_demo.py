"""The demo in its short form, as a person or a script starts it."""

import io
import json
import os
import signal
import subprocess
from types import SimpleNamespace

import pytest
from rich.console import Console

from hil.demo import LiveTable, PlainLines, problems_of
from hil.program import command
from hil.shown import Shown

SOURCE = {"name": "plc1", "connected": True, "points": 1, "bad": 0, "load_percent": None, "warning": ""}
STATUS = {
    "now": "2026-11-22T03:31:00.123Z",
    "gateway_id": "gateway1",
    "site_id": "site1",
    "uptime_s": 5.0,
    "clock": {"state": "synchronised"},
    "version": "0.1.0",
    "config_rev": "r",
    "sources": [SOURCE],
    "recipients": [],
    "alarms": [],
    "points": [
        {
            "name": "LT-101",
            "description": "level",
            "device": "plc1",
            "value": 61.5,
            "unit": "%",
            "quality": "good",
            "cause": "none",
            "level": "",
        }
    ],
}


@pytest.mark.scenario
def test_the_short_demo_passes_and_says_so_in_json():
    ended = subprocess.run(
        [command(), "demo", "--seconds", "30", "--json"],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    lines = ended.stdout.splitlines()
    assert len(lines) == 1, "stdout is the JSON verdict and nothing else"
    figures = json.loads(lines[-1])
    assert ended.returncode == 0, figures["problems"]
    assert figures["verdict"] == "pass"
    assert set(figures["recipients"]) == {"province", "bureau"}
    for one in figures["recipients"].values():
        assert one["acknowledged"] == figures["values_read"] > 1000
        assert one["lost"] == one["duplicates"] == one["out_of_order"] == one["backlog"] == 0
    assert figures["values_recorded"] == figures["values_read"]
    assert figures["alarms"]["raised"] >= 4
    assert figures["alarms"]["cleared"] >= 4
    assert figures["snapshots"] >= 1
    assert figures["alarm_samples"] >= 3
    assert figures["alarm_ms_p50"] > 0
    assert figures["modbus_writes_seen"] == figures["opcua_write_services_seen"] == 0
    assert "结论：通过" in ended.stderr
    assert figures["escalation"]["seen"]
    assert figures["escalation"]["levels"] == ["H", "HH", "H", "clear"]
    assert figures["escalation"]["snapshots"] >= 1
    assert figures["lost_plc"]["seen"]
    assert figures["lost_plc"]["cleared_by"] < 85.0
    assert figures["shelf"]["seen"]
    assert figures["shelf"]["ended_by_itself"]
    assert figures["warning"]["seen"]
    assert "bureau" in figures["warning"]["feedback_at"]


def test_a_demo_that_is_told_to_end_leaves_no_process_and_no_folder(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with subprocess.Popen(
        [command(), "demo", "--lang", "en"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as demo:
        assert demo.stdout is not None
        for line in demo.stdout:
            if "the gateway runs" in line:
                break
        assert list(tmp_path.glob("plantgate-*"))
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()
        assert demo.wait(30) == 1
    assert list(tmp_path.iterdir()) == []
    left = subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True, text=True, check=False)
    assert left.stdout == ""


def test_what_was_not_shown_fails_the_demo_by_name():
    enough = SimpleNamespace(problems=list, raised=2, cleared=2, snapshots=1)
    assert problems_of(enough, {"shelf": Shown({})}) == []
    assert problems_of(enough, {"shelf": Shown({}, ["it did not end"])}) == ["shelf: it did not end"]
    assert problems_of(SimpleNamespace(problems=list, raised=1, cleared=1, snapshots=0), {}) == [
        "alarms that both have: 1 raised, 1 cleared",
        "no picture reached both",
    ]


def test_plain_lines_tell_changes_and_no_values():
    out = io.StringIO()
    screen = PlainLines(out, "en")
    screen.tell("  1.0 s  it begins")
    screen.show(STATUS)
    screen.show({**STATUS, "sources": [{**SOURCE, "connected": False, "bad": 51}]})
    text = out.getvalue()
    assert text.splitlines()[0] == "  1.0 s  it begins"
    assert "plc1  not connected  Bad 51" in text
    assert "61.5" not in text


def test_the_live_table_shows_events_and_points():
    class Shown:
        def update(self, view, refresh):
            assert refresh
            self.view = view

    shown = Shown()
    console = Console(file=io.StringIO(), width=120, height=50)
    screen = LiveTable(shown, console, "en")
    screen.tell("it begins")
    screen.show(STATUS)
    console.print(shown.view)
    text = console.file.getvalue()
    assert "it begins" in text
    assert "61.5" in text


@pytest.mark.parametrize(("height", "lines"), [(24, 3), (40, 5), (80, 8)])
def test_the_story_leaves_a_small_screen_to_the_alarms(height, lines):
    shown = SimpleNamespace(update=lambda view, refresh: setattr(shown, "view", view))
    console = Console(file=io.StringIO(), width=80, height=height)
    screen = LiveTable(shown, console, "en")
    screen.show(STATUS)
    for number in range(9):
        screen.tell(f"event {number} " + "x" * 100)
    console.print(shown.view)
    told = [line for line in console.file.getvalue().splitlines() if "event" in line]
    assert [line.split()[1] for line in told] == [str(number) for number in range(9 - lines, 9)]
