"""Durations as they are written and read."""

from __future__ import annotations

import pytest

from gateway.span import bound, duration, seconds_of


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("30m", 1800),
        ("30min", 1800),
        ("2h", 7200),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("7d", 604_800),
        ("0.5H", 1800),
        ("30分钟", 1800),
        ("2小时", 7200),
        ("1小时30分", 5400),
        ("90 秒", 90),
        ("3天", 259_200),
    ],
)
def test_what_people_write(text: str, seconds: float) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize(
    "text", ["", " ", "30", "h", "-5m", "0s", "1h30", "5 weeks", "1e3s", "两小时", "nan s"]
)
def test_what_is_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        seconds_of(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (60, "1 min 0 s"), (3600, "1 h 0 min"), (90_000, "1 d 1 h")],
)
def test_what_people_read(seconds: float, text: str) -> None:
    assert duration(seconds, "en") == text


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [(45, "45 秒", "45 s"), (600, "10 分", "10 min"), (5400, "1 小时 30 分", "1 h 30 min")],
)
def test_a_bound_says_no_noughts(seconds: float, zh: str, en: str) -> None:
    assert (bound(seconds, "zh"), bound(seconds, "en")) == (zh, en)
