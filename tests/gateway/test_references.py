"""Tags that alarms name: found across devices, in any spelling, and of the right kind."""

from __future__ import annotations

import pytest

from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.plant import PointConfig
from gateway.references import Kind, Named, kind_of, resolved
from gateway.sheet import Row

TAGS = {
    "lt-1": Named("LT-1", 2),
    "lt-2": Named("LT-2", 3),
    "xs-1": Named("XS-1", 4, "contact"),
    "nm-1": Named("NM-1", 5, "text"),
    "101": Named("101", 6),
}


def meant(column: str, cell: str) -> tuple[Conditions, list[str]]:
    row = Row("t.csv", 2, [cell], {column: 0}, [column], [])
    found = resolved(row, Conditions(**{column: cell}), TAGS)  # type: ignore[arg-type]
    assert all("{" not in error.line(language) for error in row.errors for language in ("zh", "en"))
    return found, [f"{error.code} {error.place}" for error in row.errors]


def test_a_row_that_names_nothing_is_left_alone() -> None:
    conditions = Conditions(latching=True)
    assert resolved(Row("t.csv", 2, [], {}, [], []), conditions, TAGS) is conditions


@pytest.mark.parametrize(
    ("column", "cell", "said"),
    [
        ("suppressed_by", "ｘｓ-1", "XS-1"),
        ("deviation_from", "lt-2", "LT-2"),
        ("deviation_from", "101", "101"),
        ("deviation_from", "５.5", 5.5),
        ("deviation_from", "-0", 0.0),
    ],
)
def test_a_name_is_a_tag_before_it_is_a_number(column: str, cell: str, said: object) -> None:
    found, errors = meant(column, cell)
    assert (getattr(found, column), errors) == (said, [])
    assert type(getattr(found, column)) is type(said)


@pytest.mark.parametrize(
    ("column", "cell", "code"),
    [
        ("suppressed_by", "XS-9", "E-POINTS-TAG-UNKNOWN"),
        ("suppressed_by", "5", "E-POINTS-TAG-UNKNOWN"),
        ("deviation_from", "LT-9", "E-POINTS-TAG-UNKNOWN"),
        ("deviation_from", "1e999", "E-POINTS-TAG-UNKNOWN"),
        ("deviation_from", "LT-1", "E-POINTS-SELF"),
        ("suppressed_by", "LT-1", "E-POINTS-SELF"),
        ("suppressed_by", "LT-2", "E-POINTS-WANTS-CONTACT"),
        ("suppressed_by", "NM-1", "E-POINTS-WANTS-CONTACT"),
        ("deviation_from", "XS-1", "E-POINTS-WANTS-NUMBER"),
        ("deviation_from", "NM-1", "E-POINTS-WANTS-NUMBER"),
    ],
)
def test_a_wrong_name_is_told_at_its_cell(column: str, cell: str, code: str) -> None:
    assert meant(column, cell)[1] == [f"{code} t.csv:2:A({column})"]


@pytest.mark.parametrize(
    ("kind", "limits", "said"),
    [
        ("float32", Limits(), "number"),
        ("bit", Limits(), "contact"),
        ("bool", Limits(), "contact"),
        ("uint16", Limits(on=0), "contact"),
        ("string", Limits(), "text"),
    ],
)
def test_what_a_points_value_is(kind: str, limits: Limits, said: Kind) -> None:
    assert kind_of(PointConfig(Point("A", "1", type=kind), limits=limits)) == said
