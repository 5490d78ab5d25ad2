"""One byte of quality per value: what it decides is whether a value may be trusted, never what the value is.

The two low bits are the status, the six high bits the cause (``quality = cause << 2 | status``).
Status uses the OPC DA numbers, so that a zeroed byte is *bad*: forgotten memory never looks safe.
The causes are one closed list (FIELD.md section 5); a cause is added here or nowhere.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

QualityArray: TypeAlias = NDArray[np.uint8]
BoolArray: TypeAlias = NDArray[np.bool_]


class Status(IntEnum):
    """May the value be used? Two bits."""

    BAD = 0
    UNCERTAIN = 1
    GOOD = 3


class Cause(IntEnum):
    """Why a value is not plainly good. Six bits; the numbers are stored, so they never change."""

    NONE = 0
    COMM = 1
    REFUSED = 2
    GARBLED = 3
    DEVICE_FAULT = 4
    OVER_RANGE = 5
    UNDER_RANGE = 6
    FROZEN = 7
    MAINTENANCE = 8
    CALIBRATION = 9
    WARM_UP = 10
    MUTED = 11
    DISABLED = 12
    MANUAL = 13
    SIMULATION = 14
    STARTUP = 15
    CLOCK = 16
    NOT_READ = 17

    @property
    def word(self) -> str:
        """The cause as messages spell it, e.g. ``device_fault``."""
        return self.name.lower()


def quality(status: Status, cause: Cause = Cause.NONE) -> int:
    """Pack status and cause into one byte."""
    return int(cause) << 2 | int(status)


GOOD: Final[int] = quality(Status.GOOD)
"""The byte of a value that may be used without reserve."""


def bad(cause: Cause) -> int:
    """The byte of a value that must not be used, and why."""
    return quality(Status.BAD, cause)


def status_of(quality_byte: int) -> Status:
    """Status of one byte; the unused bit pattern 2 reads as bad."""
    low = quality_byte & 3
    return Status.BAD if low == 2 else Status(low)


def cause_of(quality_byte: int) -> Cause:
    """Cause of one byte.

    Raises:
        ValueError: the six bits are not a known cause.
    """
    return Cause(quality_byte >> 2)


def is_good(column: QualityArray) -> BoolArray:
    """Which rows are good, shape of ``column``."""
    good: BoolArray = (column & 3) == Status.GOOD
    return good


def is_bad(column: QualityArray) -> BoolArray:
    """Which rows are bad (neither good nor uncertain), shape of ``column``."""
    neither: BoolArray = _NEITHER[column]
    return neither


_NEITHER: Final = np.array([byte & 3 not in (Status.GOOD, Status.UNCERTAIN) for byte in range(256)])
"""For every quality byte: one look-up a column instead of three comparisons."""
