"""The demo in its short form, as a person or a script starts it."""

import io
import json
import os
import signal
import subprocess
from types import SimpleNamespace

import pytest
from rich.console import Console

from hil.demo import LiveTable, PlainLines, verdict_text
from hil.program import command

FIGURES = {
    "verdict": "pass",
    "values_read": 100,
    "values_recorded": 100,
    "recipients": {
        "province": dict.fromkeys(("acknowledged", "lost", "duplicates", "out_of_order", "backlog"), 0)
    },
    "alarms": {"raised": 4, "cleared": 4},
    "snapshots": 2,
    "alarm_ms_p50": 9.0,
    "alarm_ms_p99": 20.0,
    "alarm_samples": 6,
    "modbus_writes_seen": 0,
    "opcua_write_services_seen": 0,
    "problems": [],
}
STORY = SimpleNamespace(outage_s=15.0, caught_up_s=2.5)
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


def test_the_verdict_is_complete_in_both_languages_and_names_what_failed():
    assert verdict_text(FIGURES, STORY, "zh").startswith("结论：通过")
    failed = verdict_text(
        {**FIGURES, "verdict": "fail", "problems": ["no picture reached both"]}, STORY, "en"
    )
    assert failed.splitlines()[:2] == ["Verdict: FAIL", "  ! no picture reached both"]
    assert "had caught up 2.5 s after its return" in failed
    assert "Write requests to any PLC: 0." in failed


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
