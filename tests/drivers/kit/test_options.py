"""A wrong option names its key, its bounds and a remedy in both languages."""

from __future__ import annotations

import math

import pytest

from drivers.kit.errors import PointError
from drivers.kit.options import within


@pytest.mark.parametrize("value", [0, 11, math.nan, math.inf])
def test_outside_is_refused(value: float) -> None:
    with pytest.raises(PointError) as caught:
        within("port", value, 1, 10)
    assert caught.value.field == "port"
    for language in ("zh", "en"):
        assert "10" in caught.value.remedy[language]
        assert str(value) in caught.value.cause[language]


def test_the_bounds_themselves_are_inside() -> None:
    within("port", 1, 1, 10)
    within("port", 10, 1, 10)
