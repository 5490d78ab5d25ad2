import os
import sys
import threading
import time
from dataclasses import replace

import orjson
import pytest

from gateway import outputs
from gateway.alarm.annunciator import Shown
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.outputs import started
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
        made.append(started(OutputConfig("siren", **config), "rev"))
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
    assert siren.state() == {"name": "siren", "state": "ok", "detail": "", "signal": "changes"}


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
    siren._means = outputs._means(OutputConfig("siren", kind="file", path=tmp_path / "siren"))
    siren.sound(change(2))
    until(lambda: siren.sounded == 1)


ON, OFF = Shown("horn", on=True, because="LT-1/high@1"), Shown("horn", on=False, because="")


def lines(path):
    return [orjson.loads(line) for line in path.read_bytes().splitlines()] if path.exists() else []


def test_changes_are_told_of_its_priorities_only(tmp_path, output):
    siren = output(kind="file", path=tmp_path / "siren", priorities=(2, 3))
    siren.sound(change(1))
    siren.sound(replace(change(2), alarm=replace(change(2).alarm, priority=3)))
    until(lambda: siren.sounded == 1)
    assert [line["alarm_id"] for line in lines(tmp_path / "siren")] == ["LT-1/high@2"]


def test_a_horns_file_gets_one_line_per_state_from_the_first_on(tmp_path, output):
    horn = output(kind="file", path=tmp_path / "horn", signal="horn")
    for n, shown in enumerate((OFF, ON, OFF), 1):
        horn.show(shown)
        horn.show(shown)
        until(lambda n=n: horn.sounded == n)
    assert lines(tmp_path / "horn") == [
        {"signal": "horn", "on": False, "because": ""},
        {"signal": "horn", "on": True, "because": "LT-1/high@1"},
        {"signal": "horn", "on": False, "because": ""},
    ]


def test_a_lamps_command_gets_the_state_on_its_standard_input_and_again_and_again(
    tmp_path, monkeypatch, output
):
    monkeypatch.setattr(outputs, "ASSERT_S", 0.05)
    program = f"import sys; open({str(tmp_path / 'said')!r}, 'a').write(sys.stdin.read())"
    lamp = output(kind="command", argv=(sys.executable, "-c", program), signal="lamp")
    shown = Shown("lamp", on=True, because="LT-1/high@1")
    lamp.show(shown)
    until(lambda: lamp.sounded >= 3)
    assert lines(tmp_path / "said")[:3] == 3 * [{"signal": "lamp", "on": True, "because": "LT-1/high@1"}]


def test_nothing_is_told_before_the_first_state_is_known(tmp_path, monkeypatch, output):
    monkeypatch.setattr(outputs, "ASSERT_S", 0.01)
    horn = output(kind="file", path=tmp_path / "horn", signal="horn")
    time.sleep(0.1)
    assert horn.sounded == 0
    assert horn.state()["on"] is False


def test_a_file_looked_after_grows_not_and_one_that_was_taken_away_gets_the_state(
    tmp_path, monkeypatch, output
):
    monkeypatch.setattr(outputs, "ASSERT_S", 0.02)
    horn = output(kind="file", path=tmp_path / "horn", signal="horn")
    horn.show(ON)
    until(lambda: horn.sounded >= 4)
    assert len(lines(tmp_path / "horn")) == 1
    (tmp_path / "horn").unlink()
    until(lambda: lines(tmp_path / "horn"))
    assert lines(tmp_path / "horn")[0]["on"] is True


def test_a_dead_output_is_found_while_nothing_happens_and_is_told_its_state_when_it_is_back(
    tmp_path, monkeypatch, output
):
    monkeypatch.setattr(outputs, "ASSERT_S", 0.02)
    monkeypatch.setattr(outputs, "RETRY_S", 0.02)
    folder = tmp_path / "there"
    folder.mkdir()
    horn = output(kind="file", path=folder / "horn", signal="horn")
    horn.show(OFF)
    until(lambda: horn.sounded)
    (folder / "horn").unlink()
    folder.rmdir()
    until(lambda: horn.state()["state"] == "failed")
    horn.show(ON)
    folder.mkdir()
    until(lambda: lines(folder / "horn"))
    until(lambda: horn.state()["state"] == "ok")
    assert lines(folder / "horn")[-1]["on"] is True


def test_a_state_that_could_not_be_told_is_told_later_though_the_file_has_lines(
    tmp_path, monkeypatch, output
):
    monkeypatch.setattr(outputs, "RETRY_S", 0.02)
    horn = output(kind="file", path=tmp_path / "horn", signal="horn")
    horn.show(OFF)
    until(lambda: horn.sounded)
    good, horn._means = horn._means, outputs._means(OutputConfig("x", "file", path=tmp_path / "no" / "x"))
    horn.show(ON)
    until(lambda: horn.failure)
    horn._means = good
    until(lambda: len(lines(tmp_path / "horn")) == 2)
    assert lines(tmp_path / "horn")[-1]["on"] is True


def test_the_state_a_horn_shows(tmp_path, output):
    horn = output(kind="file", path=tmp_path / "horn", signal="horn")
    horn.show(Shown("horn", on=False, because="", silenced=2))
    until(lambda: horn.sounded)
    assert horn.state() == {
        "name": "siren",
        "state": "ok",
        "detail": "",
        "signal": "horn",
        "on": False,
        "because": "",
        "silenced": 2,
        "lamp_test": False,
    }


def test_of_states_that_wait_behind_a_slow_command_the_newest_counts(tmp_path, output):
    gate, said = tmp_path / "gate", tmp_path / "said"
    program = (
        f"import os, sys, time\nwhile not os.path.exists({str(gate)!r}): time.sleep(0.01)\n"
        f"open({str(said)!r}, 'a').write(sys.stdin.read())"
    )
    horn = output(kind="command", argv=(sys.executable, "-c", program), signal="horn")
    horn.show(OFF)
    until(lambda: not horn._fresh)
    for _ in range(1_000):
        horn.show(ON)
        horn.show(OFF)
    horn.show(ON)
    gate.touch()
    until(lambda: horn.sounded == 2)
    assert [line["on"] for line in lines(said)] == [False, True]


def test_an_output_that_hangs_without_a_word_has_failed(tmp_path, monkeypatch, output):
    monkeypatch.setattr(outputs, "HUNG_S", 0.05)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    horn = output(kind="file", path=pipe, signal="horn")
    began = time.monotonic()
    horn.show(ON)
    assert time.monotonic() - began < 5, "the loop waits for nobody"
    until(lambda: "hangs" in horn.failure)
    assert not horn.close()
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    until(lambda: not horn.failure)
    os.close(reader)


def test_a_line_without_a_chip_fails_and_says_place_cause_and_remedy(tmp_path, output):
    chip = str(tmp_path / "gpiochip0")
    horn = output(kind="gpio", chip=chip, line=17, signal="horn")
    horn.show(ON)
    until(lambda: horn.failure)
    assert horn.state()["state"] == "failed"
    assert horn.failure.startswith(f"{chip} line 17: no such chip; ")
