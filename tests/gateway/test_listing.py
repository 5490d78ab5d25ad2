"""Tables of one line a row: what is too wide goes below, what is too long is counted."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from gateway.listing import Listing, segments

LONG = "x" * 50


def listing(rows: int, below: tuple[str, ...] = ("alarm_id",)) -> Listing:
    made = [
        {"tag": Text(f"T{k}"), "description": Text("d" * 60), "alarm_id": Text(f"{LONG}{k}")}
        for k in range(rows)
    ]
    return Listing("T", ("tag", "description", "alarm_id"), made, below, str.title, "{} more".format)


def drawn(one: Listing, width: int, most: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    lines = one.lines(console, console.options, most)
    assert list(segments(lines))[-1].text == "\n"
    return ["".join(segment.text for segment in line).rstrip() for line in lines]


def test_what_is_too_wide_stands_whole_below_its_row() -> None:
    assert drawn(listing(2), 70)[3:] == [
        f"T0    {'d' * 60}",
        f"    Alarm_Id {LONG}0",
        f"T1    {'d' * 60}",
        f"    Alarm_Id {LONG}1",
    ]
    assert len(drawn(listing(2), 200)) == 3 + 2


def test_a_note_longer_than_the_screen_goes_on_below_and_loses_nothing() -> None:
    assert f"{LONG}0" in "".join(line.strip() for line in drawn(listing(1), 40))


@pytest.mark.parametrize("most", [0, 4, 5, 6, 7, 12, 13, 14, 100])
def test_no_more_lines_than_there_are_and_the_missing_rows_counted(most: int) -> None:
    lines = drawn(listing(5), 70, most)
    assert len(lines) <= max(most, 4)
    shown = sum(line.startswith("T") for line in lines[3:])
    assert shown == sum(LONG in line for line in lines)
    assert (f"{5 - shown} more" in lines) == (shown < 5)


def test_no_rows_are_a_heading_only() -> None:
    assert drawn(listing(0), 70, 10)[0] == "T"
