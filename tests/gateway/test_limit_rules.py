"""What a changed limit must obey, and what of a point decides when it is in alarm."""

from __future__ import annotations

import pytest

from drivers.kit.scan import Point
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.people import RefusedError
from gateway.limit_rules import differences, judge, level_of, looser, told, with_figures
from gateway.plant import PointConfig

ANALOGUE = PointConfig(Point("LT-1", "40001", range_lo=0.0, range_hi=100.0), limits=Limits(l=10.0, h=80.0))


def refused(point: PointConfig, limits: Limits) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        judge(point, limits)
    return caught.value


@pytest.mark.parametrize(
    ("limits", "code", "facts"),
    [
        (Limits(l=80.0, h=80.0), "E-REFUSED-LIMIT-ORDER", {"low": "L", "high": "H"}),
        (Limits(ll=11.0, l=10.0), "E-REFUSED-LIMIT-ORDER", {"low": "LL", "high": "L"}),
        (Limits(ll=95.0, hh=90.0), "E-REFUSED-LIMIT-ORDER", {"low": "LL", "high": "HH"}),
        (Limits(h=100.5), "E-REFUSED-LIMIT-RANGE", {"field": "H", "value": 100.5}),
        (Limits(ll=-0.5), "E-REFUSED-LIMIT-RANGE", {"field": "LL", "value": -0.5}),
        (Limits(l=10.0, h=12.0, deadband=2.0), "E-REFUSED-LIMIT-DEADBAND", {"deadband": 2.0}),
        (Limits(l=10.0, h=12.0, deadband={"H": 2.0}), "E-REFUSED-LIMIT-DEADBAND", {"field": "H"}),
        (Limits(h=80.0, deadband=80.0), "E-REFUSED-LIMIT-DEADBAND", {"deadband": 80.0}),
    ],
)
def test_what_the_point_table_would_not_take(limits: Limits, code: str, facts: dict[str, object]) -> None:
    error = refused(ANALOGUE, limits)
    assert error.code == code
    assert facts.items() <= error.facts.items()


@pytest.mark.parametrize(
    "limits",
    [
        Limits(ll=0.0, l=1.0, h=99.0, hh=100.0),
        Limits(),
        Limits(h=0.0),
        Limits(l=10.0, h=12.0, deadband=1.9),
        Limits(l=10.0, h=12.0, deadband={"HH": 5.0}),
        Limits(ll=0.0, l=40.0, h=60.0, hh=100.0, deadband={"HH": 30.0, "LL": 30.0}),
    ],
)
def test_what_it_would_take(limits: Limits) -> None:
    judge(ANALOGUE, limits)


@pytest.mark.parametrize(
    "point",
    [
        PointConfig(Point("XS-1", "1", type="bit")),
        PointConfig(Point("XS-1", "1", type="string")),
        PointConfig(Point("XS-1", "1"), limits=Limits(on=0)),
    ],
)
def test_a_contact_and_a_text_have_no_such_limits(point: PointConfig) -> None:
    assert refused(point, with_figures(point.limits, {"H": 1.0})).code == "E-REFUSED-LIMIT-KIND"


def test_only_four_fields_can_be_changed() -> None:
    assert [level_of(name) for name in ("LL", "L", "H", "HH")] == ["LL", "L", "H", "HH"]
    for name in ("ON", "h", "deadband", ""):
        with pytest.raises(RefusedError, match="E-NAME-LIMIT"):
            level_of(name)


def test_figures_replace_what_they_name() -> None:
    limits = Limits(l=1.0, h=2.0, deadband=0.5)
    assert with_figures(limits, {"H": None, "HH": 3.0}) == Limits(l=1.0, hh=3.0, deadband=0.5)


def test_what_decides_is_told_field_by_field_and_what_is_usual_is_left_out() -> None:
    limits = Limits(l=1.0, h=2.0, deadband=0.5, on_delay_s={"H": 3.0}, filed={"H": 1.9})
    point = PointConfig(
        Point("A", "1"), limits=limits, conditions=Conditions(rise_per_min=4.0, latching=True)
    )
    assert told(point) == {
        "L": 1.0,
        "H": 2.0,
        "deadband L": 0.5,
        "deadband H": 0.5,
        "on_delay_s H": 3.0,
        "filed H": 1.9,
        "rise_per_min": 4.0,
        "latching": True,
    }
    same = Limits(l=1.0, h=2.0, deadband={"L": 0.5, "H": 0.5}, on_delay_s={"H": 3.0}, filed={"H": 1.9})
    assert told(PointConfig(Point("A", "1"), limits=same)).items() <= told(point).items()
    assert told(PointConfig(Point("B", "1"))) == {}


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        (Limits(l=1.0, h=2.0, filed={"L": 1.0, "H": 2.0}), []),
        (Limits(l=1.1, h=1.9, filed={"L": 1.0, "H": 2.0}), []),
        (Limits(l=0.9, h=2.1, filed={"L": 1.0, "H": 2.0}), ["L", "H"]),
        (Limits(filed={"LL": 1.0, "HH": 2.0}), ["LL", "HH"]),
    ],
)
def test_a_limit_further_out_than_filed_is_named(limits: Limits, names: list[str]) -> None:
    assert looser(limits) == names


def test_differences() -> None:
    assert differences({"L": 1.0, "H": 2.0}, {"H": 3.0, "HH": 4.0}) == [
        {"field": "L", "old": 1.0, "new": None},
        {"field": "H", "old": 2.0, "new": 3.0},
        {"field": "HH", "old": None, "new": 4.0},
    ]
    assert differences({"H": None}, {}) == []
