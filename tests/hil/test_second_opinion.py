"""The second opinion about a day: it agrees with itself, and says where a record differs."""

import pytest

from gateway.instant import Now
from hil.day import Day
from hil.second_opinion import SecondOpinion

SPAN_S = 3_600


@pytest.fixture(scope="module")
def lived():
    day = Day(4, SPAN_S, 4)
    opinion = SecondOpinion(day)
    opinion.restart(Now(0, 0))
    for second, (values, qualities) in enumerate(day.seconds()):
        opinion.see(second, values, qualities, Now(second * 10**9, second * 10**9))
        half = second * 10**9 + 500_000_000
        opinion.look(Now(half, half))
    return opinion


def items(opinion):
    """Its own verdicts as a record would hold them."""
    return [
        {
            "condition": one.condition,
            "t_changed": one.at,
            "transition": one.transition,
            "level": {"current": one.level},
            "value": one.value,
        }
        for _, plain in opinion._points
        for one in plain.verdicts
    ]


def test_it_judges_some_points_of_every_device(lived):
    assert {tag.partition(".")[0] for tag in lived.tags} == {"plc0", "plc1", "plc2", "plc3"}
    assert lived.count == len(items(lived)) > 0
    assert lived.differences(items(lived)) == []


def test_a_record_that_differs_is_named_once_per_condition(lived):
    first, *rest = items(lived)
    assert len(lived.differences(rest)) == 1
    assert first["condition"] in lived.differences(rest)[0]
    later = {**first, "t_changed": "1970-01-01T00:59:59.999Z"}
    assert len(lived.differences([later, *rest])) == 1
    invented = {**first, "condition": "plc9.00/high"}
    assert lived.differences([*items(lived), invented])[0].endswith("None")
