"""What the keys of an output must be together, each mistake with its key; the last ones through a whole file."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import load
from gateway.errors import UserFileErrors
from gateway.output_rules import output_mistake
from gateway.sections import OutputSection

LINE = {"kind": "gpio", "chip": "/dev/gpiochip0", "line": 0, "signal": "horn"}
COMMAND = {"kind": "command", "argv": ["/bin/true"]}


def mistake(row, made=()):
    made = tuple(Path(folder) for folder in made)
    found = output_mistake(OutputSection.model_validate({"name": "x", **row}), row, made)
    return found and found[0]


@pytest.mark.parametrize(
    "row",
    [
        COMMAND,
        {**COMMAND, "signal": "lamp", "priorities": [3]},
        {"kind": "file", "path": "/tmp/alarms"},
        LINE,
        {**LINE, "active_low": True},
    ],
)
def test_right(row):
    assert mistake(row) is None


@pytest.mark.parametrize(
    ("row", "key"),
    [
        ({"kind": "command"}, "argv"),
        ({"kind": "command", "argv": []}, "argv"),
        ({"kind": "command", "argv": ["true"]}, "argv"),
        ({"kind": "command", "argv": ["/no/such/program"]}, "argv"),
        ({**COMMAND, "path": "/tmp/x"}, "path"),
        ({**COMMAND, "line": 3}, "line"),
        ({**COMMAND, "active_low": True}, "active_low"),
        ({**COMMAND, "priorities": []}, "priorities"),
        ({"kind": "file"}, "path"),
        ({"kind": "file", "path": "/no/such/folder/x"}, "path"),
        ({"kind": "gpio", "chip": "/dev/gpiochip0", "signal": "horn"}, "line"),
        ({"kind": "gpio", "line": 1, "signal": "horn"}, "chip"),
        ({**LINE, "chip": "gpiochip0"}, "chip"),
        ({**LINE, "signal": "changes"}, "signal"),
        ({**LINE, "argv": ["/bin/true"]}, "argv"),
    ],
)
def test_wrong(row, key):
    assert mistake(row) == key


def test_a_folder_that_the_service_makes_needs_not_be_there():
    assert mistake({"kind": "file", "path": "/no/such/folder/x"}, made=["/no/such/folder"]) is None


def _outputs(site: Path, *tables: str):
    file = site / "gateway.toml"
    text = file.read_text("utf-8")
    start, end = text.index("[[output]]"), text.index("[roles]")
    file.write_text(text[:start] + "\n".join(tables) + "\n" + text[end:], "utf-8")
    return load(file).outputs


HORN = """\
[[output]]
name = "horn"
kind = "gpio"
chip = "/dev/gpiochip0"
line = 17
active_low = true
signal = "horn"
"""


def test_a_line_as_it_is_configured(site: Path):
    (horn,) = _outputs(site, HORN + "priorities = [2, 1, 2]")
    assert (horn.kind, horn.chip, horn.line, horn.active_low) == ("gpio", "/dev/gpiochip0", 17, True)
    assert (horn.signal, horn.priorities) == ("horn", (1, 2))


def test_without_more_an_output_gets_the_changes_of_all_priorities(site: Path):
    (siren,) = load(site / "gateway.toml").outputs
    assert (siren.signal, siren.priorities) == ("changes", (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("tables", "code", "words"),
    [
        ((HORN, HORN.replace('"horn"', '"lamp"')), "E-CONFIG-OUTPUT", "horn"),
        ((HORN.replace("line = 17", "line = -1"),), "E-CONFIG-LOW", "line"),
        ((HORN + "priorities = [0]",), "E-CONFIG-LOW", "priorities"),
        ((HORN + "priorities = [5]",), "E-CONFIG-HIGH", "priorities"),
        ((HORN.replace('"horn"\n', '"hron"\n', 2),), "E-CONFIG-CHOICE", "signal"),
        ((HORN.replace("chip", "chipp"),), "E-CONFIG-KEY-UNKNOWN", "chip"),
    ],
)
def test_a_whole_file_with_a_mistake(site: Path, tables: tuple[str, ...], code: str, words: str):
    with pytest.raises(UserFileErrors) as wrong:
        _outputs(site, *tables)
    (first, *_) = [error for error in wrong.value.errors if error.code == code]
    assert words in first.cause["zh"] + first.remedy["zh"]
    assert words in first.cause["en"] + first.remedy["en"]
    assert first.place.startswith(str(site))
