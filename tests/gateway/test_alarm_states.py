"""The page of an alarm's states says what the tables say."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.alarm.parts import PARTS, TRANSITIONS, ImpossibleError, State, step
from gateway.alarm_states import page


def test_the_page_that_is_kept_is_the_page_that_is_printed(checkout: Path) -> None:
    assert (checkout / "docs/alarm-states.md").read_text("utf-8") == page()


def test_every_row_of_every_table_and_every_event_is_on_it() -> None:
    text = page()
    for part in PARTS:
        section = text[text.index(f"· {part.name.replace('_', ' ')}\n") :].partition("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("|") and "`" in line]
        assert len(rows) == len(part.table)
        for (stands, event), after in part.table.items():
            now, then = (part.yes if where else part.no for where in (stands, after))
            assert any(f" {now} | `{event}` " in row and row.endswith(f" {then} |") for row in rows)
    assert all(f"| `{event}` |" in text for event in TRANSITIONS)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_what_it_calls_impossible_is(part: object) -> None:
    at = PARTS.index(part)  # type: ignore[arg-type]
    section = page().split("\n## ")[at + 2]
    for event in TRANSITIONS:
        for stands in (False, True):
            other = (not stands, event) in PARTS[at].table and (stands, event) not in PARTS[at].table
            called = PARTS[at].yes if stands else PARTS[at].no
            assert (f"`{event}`（" in section and f" {called}）" in section) >= other
            if other:
                with pytest.raises(ImpossibleError):
                    step(State()._replace(**{PARTS[at].name: stands}), event)
