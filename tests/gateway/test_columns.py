"""The columns: every field of a point has one, and no heading stands for two."""

from __future__ import annotations

import dataclasses

from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.columns import (
    COLUMN_OF_HEADING,
    FILED_COLUMNS,
    HEADINGS,
    LIMIT_COLUMNS,
    REFERENCES,
    REQUIRED,
)
from gateway.sheet import column_of

WITHOUT_COLUMN = {"alarmed"}
"""Follows from the limits."""


def test_every_field_of_a_point_has_its_column() -> None:
    fields = {field.name for field in dataclasses.fields(Point)} - WITHOUT_COLUMN
    assert {"tag" if field == "name" else field for field in fields} <= HEADINGS.keys()


def test_every_condition_has_its_column() -> None:
    fields = {field.name for field in dataclasses.fields(Conditions)}
    assert {"gas_delay_reason" if field == "delay_reason" else field for field in fields} <= HEADINGS.keys()


def test_no_heading_stands_for_two_columns_and_each_is_found_as_it_is_written() -> None:
    assert len(COLUMN_OF_HEADING) == sum(1 + len(more) for more in HEADINGS.values())
    assert all(column_of(heading) == column for heading, column in COLUMN_OF_HEADING.items())


def test_the_lists_of_columns_name_columns() -> None:
    assert {*REQUIRED, *LIMIT_COLUMNS, *FILED_COLUMNS, *REFERENCES} <= HEADINGS.keys()
