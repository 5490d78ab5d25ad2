import sys
import threading
import time

import orjson
import pytest

from gateway import outputs
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.outputs import Output
from gateway.plant import OutputConfig


def change(n=1, condition="LT-1/high"):
    return AlarmChanged(
        "raise",
        Alarm(
            f"{condition}@{n}", condition, "limit", "LT-1", "plc", 1, "1号罐", True, False, "H", "H", "H",
            81.0, 81.0, 80.0, "", n, n, change_no=n,
        ),
    )  # fmt: skip


def until(condition):
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end, "did not happen"
        time.sleep(0.005)


@pytest.fixture
def output():
    made = []

    def make(**config):
        made.append(Output(OutputConfig("siren", **config), "rev"))
        return made[-1]

    yield make
    for one in made:
        assert one.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("output-")]


def test_a_file_gets_one_line_per_change(tmp_path, output):
    siren = output(kind="file", path=tmp_path / "siren")
    siren.sound(change(1))
    siren.sound(change(2))
    until(lambda: siren.sounded == 2)
    lines = [orjson.loads(line) for line in (tmp_path / "siren").read_bytes().splitlines()]
    assert [line["alarm_id"] for line in lines] == ["LT-1/high@1", "LT-1/high@2"]
    assert lines[0]["text"] == "1号罐"


def test_a_command_gets_the_alarm_on_its_standard_input(tmp_path, output):
    program = f"import sys; open({str(tmp_path / 'said')!r}, 'w').write(sys.stdin.read())"
    siren = output(kind="command", argv=(sys.executable, "-c", program))
    siren.sound(change())
    until(lambda: siren.sounded == 1)
    assert orjson.loads((tmp_path / "said").read_bytes())["transition"] == "raise"


def test_an_output_that_fails_says_so_and_comes_back(tmp_path, output):
    folder = tmp_path / "gone"
    siren = output(kind="file", path=folder / "siren")
    siren.sound(change(1))
    until(lambda: siren.failure)
    assert siren.state()["state"] == "failed"
    folder.mkdir()
    siren.sound(change(2))
    until(lambda: siren.sounded == 1)
    assert siren.state() == {"name": "siren", "state": "ok", "detail": ""}


def test_a_hanging_command_holds_up_nobody_and_is_killed(monkeypatch, output):
    monkeypatch.setattr(outputs, "COMMAND_S", 0.3)
    siren = output(kind="command", argv=("/bin/sleep", "3600"))
    siren.sound(change())
    until(lambda: "timed out" in siren.failure)


def test_beyond_the_bound_changes_are_folded_per_condition_and_none_is_dropped(tmp_path, monkeypatch, output):
    monkeypatch.setattr(outputs, "MAX_WAITING", 3)
    gate, said = tmp_path / "gate", tmp_path / "said"
    program = (
        f"import os, sys, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
        f"open({str(said)!r}, 'a').write(sys.stdin.read())"
    )
    siren = output(kind="command", argv=(sys.executable, "-c", program))
    siren.sound(change(0))
    until(lambda: not siren._waiting)
    siren.sound(change(1, "TT-2/high"))
    for n in range(2, 50):
        siren.sound(change(n))
    assert len(siren._waiting) <= 4
    gate.touch()
    until(lambda: not siren._waiting and orjson.loads(said.read_bytes().splitlines()[-1])["change_no"] == 49)
    lines = [orjson.loads(line) for line in said.read_bytes().splitlines()]
    assert [line["change_no"] for line in lines][:2] == [0, 1], "the only change of another condition is kept"
    assert len(lines) + sum(line["coalesced"] for line in lines) == 50


def test_an_output_that_cannot_even_be_tried_says_so_and_the_next_change_sounds(tmp_path, output):
    siren = output(kind="file", path=tmp_path / "a\0b")
    siren.sound(change(1))
    until(lambda: siren.failure)
    siren._config = OutputConfig("siren", kind="file", path=tmp_path / "siren")
    siren.sound(change(2))
    until(lambda: siren.sounded == 1)
