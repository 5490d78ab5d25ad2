"""The plain judge beside the gateway for some points of a day: it sees what is posted, when the gateway does. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import zip_longest
from typing import Any, Final

import numpy as np

from drivers.kit.quality import QualityArray, Status, status_of
from drivers.kit.scan import ValueArray
from gateway.instant import Now
from hil.day import POINTS, Away, Day
from hil.plain_judge import BAD, FINE, UNCERTAIN, PlainPoint, Verdict

EVERY: Final = 17
"""Of so many points one is judged again."""
_WORDS: Final = {Status.GOOD: FINE, Status.UNCERTAIN: UNCERTAIN, Status.BAD: BAD}
_STATUS: Final = tuple(_WORDS[status_of(byte)] for byte in range(256))


class SecondOpinion:
    """Judges one point in ``EVERY`` again.

    Args:
        day: that is lived.
    """

    def __init__(self, day: Day) -> None:
        self._away = day.away
        points = (point for device in day.watched for point in device.points)
        self._points = [
            (row, PlainPoint(point.point.name, point.limits))
            for row, point in enumerate(points)
            if row % EVERY == 0 and point.limits.levels
        ]

    @property
    def tags(self) -> list[str]:
        """Whom it judges."""
        return [plain.tag for _, plain in self._points]

    @property
    def count(self) -> int:
        """Transitions it has come to."""
        return sum(len(plain.verdicts) for _, plain in self._points)

    def restart(self, now: Now) -> None:
        """The gateway is up again."""
        for _, plain in self._points:
            plain.restart(now)

    def see(self, second: int, values: ValueArray, qualities: QualityArray, now: Now) -> None:
        """A second's scans are judged at this instant."""
        away = {one.device: one for one in self._away if one.from_s <= second < one.to_s}
        for row, plain in self._points:
            absent: Away | None = away.get(row // POINTS)
            if absent is None:
                plain.see(float(values[row]), _STATUS[qualities[row]], now)
            elif absent.told:
                plain.see(np.nan, BAD, now)
            else:
                plain.look(now)

    def look(self, now: Now) -> None:
        """The gateway looks at its deadlines at this instant."""
        for _, plain in self._points:
            plain.look(now)

    def differences(self, items: Iterable[Mapping[str, Any]]) -> list[str]:
        """Where the record of these points differs, the first place of each condition.

        Args:
            items: alarm changes of their limits, in the order of the record.
        """
        recorded: dict[str, list[Verdict]] = {}
        for item in items:
            level = item["level"]["current"]
            one = Verdict(item["condition"], item["t_changed"], item["transition"], level, item["value"])
            recorded.setdefault(one.condition, []).append(one)
        judged: dict[str, list[Verdict]] = {}
        for _, plain in self._points:
            for one in plain.verdicts:
                judged.setdefault(one.condition, []).append(one)
        found = []
        for condition in sorted(recorded.keys() | judged.keys()):
            pairs = zip_longest(recorded.get(condition, []), judged.get(condition, []))
            found += [f"recorded {a}, a second opinion says {b}" for a, b in pairs if a != b][:1]
        return found
