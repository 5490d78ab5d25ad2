"""A mass balance's tags: found, of the right kind and unit, each in one place."""

from __future__ import annotations

import pytest

from gateway.alarm.conditions import Balance
from gateway.balances import judged
from gateway.references import Named
from gateway.words import said

TAGS = {
    "lt-1": Named("LT-1", 2, unit="m"),
    "ft-1": Named("FT-1", 3, unit="m³/h"),
    "ft-2": Named("FT-2", 4, unit="M3/H"),
    "ft-3": Named("FT-3", 5, unit="t/h"),
    "ft-4": Named("FT-4", 6),
    "xs-1": Named("XS-1", 7, "contact"),
}


def test_tags_become_those_of_the_point_table() -> None:
    written = Balance("tank1", "lt-1", 50.0, ("ｆｔ-1",), ("ft-2", "ft-4"))
    assert judged(written, TAGS) == (Balance("tank1", "LT-1", 50.0, ("FT-1",), ("FT-2", "FT-4")), [])


@pytest.mark.parametrize(
    ("level", "inflows", "outflows", "wrong"),
    [
        ("LT-1", (), (), ("inflows", "E-CONFIG-BALANCE-FLOWS")),
        ("LT-9", ("FT-1",), (), ("level", "E-CONFIG-TAG-UNKNOWN")),
        ("LT-1", ("FT-9",), (), ("inflows", "E-CONFIG-TAG-UNKNOWN")),
        ("LT-1", (), ("FT-1", "ft-1"), ("outflows", "E-CONFIG-BALANCE-TWICE")),
        ("LT-1", ("FT-1",), ("FT-1",), ("outflows", "E-CONFIG-BALANCE-TWICE")),
        ("XS-1", ("FT-1",), (), ("level", "E-CONFIG-BALANCE-KIND")),
        ("LT-1", (), ("XS-1",), ("outflows", "E-CONFIG-BALANCE-KIND")),
        ("LT-1", ("FT-3",), (), ("inflows", "E-CONFIG-BALANCE-UNIT")),
    ],
)
def test_what_is_wrong_is_told_at_its_key(
    level: str, inflows: tuple[str, ...], outflows: tuple[str, ...], wrong: tuple[str, str]
) -> None:
    _, mistakes = judged(Balance("tank1", level, 50.0, inflows, outflows), TAGS)
    assert [(mistake.key, mistake.code) for mistake in mistakes] == [wrong]
    [error] = (said(mistake.code, "x", **mistake.facts) for mistake in mistakes)
    assert "{" not in error.line("zh") + error.line("en")


def test_without_a_point_table_no_tag_is_called_wrong() -> None:
    assert judged(Balance("tank1", "LT-9", 50.0, ("FT-9",)), {})[1] == []


def test_an_unknown_tag_names_the_nearest() -> None:
    _, [mistake] = judged(Balance("tank1", "LT-11", 50.0, ("FT-1",)), TAGS)
    assert "LT-1" in said(mistake.code, "x", **mistake.facts).line("zh")
