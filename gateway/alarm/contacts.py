"""Contacts that suppress the alarms of other points by design. Pure: says which suppressions begin and end.

A contact that is bad or uncertain suppresses nothing: missing data never looks safe.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from drivers.kit.quality import BoolArray
from drivers.kit.scan import ValueArray
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Rows


class Contacts:
    """All suppressions by a contact.

    Attributes:
        holding: bool[m], which of them hold now.
    """

    def __init__(self, conditions: Sequence[Conditions], row_of: Mapping[str, int]) -> None:
        chosen = [(row, one) for row, one in enumerate(conditions) if one.suppressed_by]
        self._rows: Rows = np.array([row for row, _ in chosen], dtype=np.intp)
        self._contacts: Rows = np.array([row_of[one.suppressed_by] for _, one in chosen], dtype=np.intp)
        self._on = np.array([one.suppressed_on for _, one in chosen], dtype=np.float64)
        self.holding: BoolArray = np.zeros(len(chosen), dtype=np.bool_)

    def restore(self, row: int) -> None:
        """This row was suppressed at the last stop, and is until its contact has been read."""
        self.holding[self._rows == row] = True

    def changed(
        self, values: ValueArray, good: BoolArray, seen: BoolArray
    ) -> Iterator[tuple[int, int | None]]:
        """Rows whose suppression begins (with the contact's row) or ends (None).

        Args:
            values: float64[n], last values of all points.
            good: bool[n], which of all are good now.
            seen: bool[n], which of all have been read since the start, with or without success.
        """
        on = good[self._contacts] & (values[self._contacts] == self._on)
        holding = np.where(seen[self._contacts], on, self.holding)
        for k in np.flatnonzero(holding != self.holding).tolist():
            yield int(self._rows[k]), int(self._contacts[k]) if holding[k] else None
        self.holding = holding
