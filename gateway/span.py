"""Durations as people write them (``30m``, ``2h``, ``1h30m``, ``90 秒``) and as they read them. Pure."""

from __future__ import annotations

import re
from typing import Final

_UNITS: Final[dict[str, float]] = {
    **dict.fromkeys(("s", "sec", "秒", "秒钟"), 1.0),
    **dict.fromkeys(("m", "min", "分", "分钟"), 60.0),
    **dict.fromkeys(("h", "小时", "时"), 3600.0),
    **dict.fromkeys(("d", "天"), 86_400.0),
}
_PART: Final = re.compile(
    rf"(\d{{1,9}}(?:\.\d{{1,3}})?)\s*({'|'.join(sorted(_UNITS, key=len, reverse=True))})"
)
_SPOKEN: Final = (("天", "d", 86_400), ("小时", "h", 3600), ("分", "min", 60), ("秒", "s", 1))


def seconds_of(text: str) -> float:
    """What a written duration means, seconds. A bare number means nothing: nobody knows of what.

    Raises:
        ValueError: it is none, or it is 0.
    """
    rest = text.strip().lower()
    total_s = 0.0
    while rest:
        part = _PART.match(rest)
        if part is None:
            raise ValueError(f"not a duration: {text!r}")
        total_s += float(part[1]) * _UNITS[part[2]]
        rest = rest[part.end() :].strip()
    if total_s <= 0:
        raise ValueError(f"not a duration: {text!r}")
    return total_s


def duration(seconds: float, language: str) -> str:
    """A duration in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for zh, en, size in _SPOKEN:
        count, left = divmod(left, size)
        if count or parts or size == 1:
            parts.append(f"{count} {zh if language == 'zh' else en}")
    return " ".join(parts[:2])


def bound(seconds: float, language: str) -> str:
    """The same for a figure that somebody set: 8 h, not 8 h 0 min."""
    parts = duration(seconds, language).split(" ")
    return " ".join(parts[:2] if len(parts) > 2 and parts[2] == "0" else parts)
