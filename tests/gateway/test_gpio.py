"""A GPIO line where there is no chip: this machine's kernel has none, so what is judged is the refusal."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import gpiod
import pytest
from gpiod.line import Direction, Value

from gateway.gpio import Line, LineError


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (lambda path: None, "no such chip; see ls /dev/gpiochip* and mend chip"),
        (lambda path: path.write_text(""), "this is no GPIO chip"),
        (lambda path: path.symlink_to("/dev/null"), "this is no GPIO chip"),
        (lambda path: path.mkdir(), "this is no GPIO chip"),
    ],
)
def test_what_is_no_chip_is_refused_with_place_cause_and_remedy(made, told, tmp_path: Path):
    chip = tmp_path / "gpiochip9"
    made(chip)
    line = Line(str(chip), 17, active_low=False)
    for _ in range(2):  # and tried anew each time
        with pytest.raises(LineError) as refused:
            line.set(on=True)
        assert str(refused.value).startswith(f"{chip} line 17: {told}")
    line.close()


def test_a_refusal_leaves_no_file_open(tmp_path: Path):
    (tmp_path / "chip").symlink_to("/dev/null")
    line = Line(str(tmp_path / "chip"), 1, active_low=True)
    before = len([*Path("/proc/self/fd").iterdir()])
    for _ in range(20):
        with pytest.raises(LineError):
            line.set(on=False)
    assert len([*Path("/proc/self/fd").iterdir()]) == before


def test_without_the_wheel_it_says_what_is_missing(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gpiod", None)
    with pytest.raises(LineError, match="libgpiod is missing"):
        Line("/dev/gpiochip0", 3, active_low=False).set(on=True)


def test_the_names_it_uses_are_those_of_the_library():
    settings = gpiod.LineSettings(direction=Direction.OUTPUT, active_low=True, output_value=Value.ACTIVE)
    assert (settings.active_low, settings.output_value) == (True, Value.ACTIVE)
    assert callable(gpiod.LineRequest.set_value)
    assert callable(gpiod.LineRequest.release)


@pytest.mark.skipif(
    "PLANTGATE_GPIO" not in os.environ,
    reason="needs a chip: PLANTGATE_GPIO=/dev/gpiochipN:LINE of gpio-sim or of a board with nothing on that line",
)
@pytest.mark.parametrize("active_low", [False, True])
def test_a_real_line_is_turned_on_and_off_and_held(active_low: bool):
    chip, _, offset = os.environ["PLANTGATE_GPIO"].partition(":")
    line = Line(chip, int(offset), active_low=active_low)
    try:
        line.set(on=True)
        with pytest.raises(LineError, match="held by another"):
            Line(chip, int(offset), active_low=False).set(on=True)
        assert line._request.get_value(int(offset)) is Value.ACTIVE
        line.set(on=False)
        assert line._request.get_value(int(offset)) is Value.INACTIVE
    finally:
        line.close()
