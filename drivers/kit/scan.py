"""What flows out of a driver: columns. Decides the shape of a reading, touches nothing.

A ``Scan`` is one read of one group of points of one device. Its columns have one row per point read;
there is no object per value anywhere on the road.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import Cause, QualityArray, bad

IndexArray: TypeAlias = NDArray[np.uint16]
ValueArray: TypeAlias = NDArray[np.float64]
TimeArray: TypeAlias = NDArray[np.int64]

Exact: TypeAlias = Mapping[int, int | str]
"""Row of the columns -> what a float64 cannot hold: a text, or a whole number beyond 2**53."""

MAX_POINTS_PER_DEVICE = 65_535
"""Point indexes are 16 bits wide."""


@dataclass(frozen=True, slots=True)
class Point:
    """What a driver must know to read one point.

    Attributes:
        name: tag (位号), unique on the gateway.
        address: where the point is, in the driver's own notation.
        type: how its bytes are read, e.g. ``uint16``, ``float32``, ``bit``; a driver names the ones it knows.
        order: word and byte order ``ABCD``, ``CDAB``, ``BADC`` or ``DCBA`` of values wider than a register.
        bit: bit number 0 to 15 within a register, for ``type = "bit"`` on a register; else None.
        scale: engineering value = raw * scale + offset.
        offset: engineering value = raw * scale + offset.
        unit_id: Modbus unit identifier (站号); None where the device's own stands.
        length: registers of a text (``type = "string"``); None for everything else.
        raw_lo: raw number (原始下限) that stands for ``range_lo``; given with ``raw_hi`` and both ranges, these four
            scale instead of ``scale`` and ``offset``.
        raw_hi: raw number (原始上限) that stands for ``range_hi``.
        range_lo: lower end of the engineering range (量程下限); below it the value is uncertain, under_range.
        range_hi: upper end (量程上限); above it the value is uncertain, over_range.
        fault_values: raw values (故障值) that are no measurement, as written in the point table.
        status_point: tag of the point (状态点) whose register says in what state this one's instrument is.
        status_bits: which bits of that register mean which cause (状态位), as written in the point table.
        heartbeat_point: tag of a bit (心跳点) that a living instrument toggles.
        heartbeat_s: so long it may stay the same.
        frozen_s: a polled value that stays the same for so long (冻结时限) is frozen; None: never.
        decimals_point: tag of the point (小数位点) that holds the number of decimals of this one.
        period_s: scan group: time between two reads (采集周期); None where the device's own stands.
        sample_deadband: OPC UA: changes up to this size (采集死区, in the server's unit) need not be told; 0: all.
        alarmed: its alarms hang on it, so it is read before what is only recorded.
    """

    name: str
    address: str
    type: str = "uint16"
    order: str = "ABCD"
    bit: int | None = None
    scale: float = 1.0
    offset: float = 0.0
    unit_id: int | None = None
    length: int | None = None
    raw_lo: float | None = None
    raw_hi: float | None = None
    range_lo: float | None = None
    range_hi: float | None = None
    fault_values: str = ""
    status_point: str = ""
    status_bits: str = ""
    heartbeat_point: str = ""
    heartbeat_s: float | None = None
    frozen_s: float | None = None
    decimals_point: str = ""
    period_s: float | None = None
    sample_deadband: float = 0.0
    alarmed: bool = False


@dataclass(frozen=True, slots=True)
class Device:
    """One connection to one PLC and the list of points read through it.

    Attributes:
        name: unique on the gateway.
        points: the device's point list; a Scan's ``points`` column indexes into it.
        period_s: time between two reads.
        slot: place of this device's reads within the period, in slots of ``kit.pace.SLOTS_PER_PERIOD``.
        config_rev: version of the configuration this list belongs to.
    """

    name: str
    points: tuple[Point, ...]
    period_s: float = 1.0
    slot: int = 0
    config_rev: str = ""


@dataclass(slots=True, eq=False)
class Scan:
    """One read of one group of points of one device, as columns of equal length n; never changed once posted.

    Not frozen, because that makes a scan four times as dear to make, a thousand times a second.

    Attributes:
        device: name of the device.
        config_rev: version of the point list that ``points`` indexes.
        points: uint16[n], indexes into the device's point list, strictly rising.
        values: float64[n], engineering units; NaN wherever quality is bad.
        quality: uint8[n], see kit.quality.
        taken_ns: UTC nanoseconds at which the answer was complete (for a miss: at which it was given up).
        taken_mono_ns: the same instant on the monotonic clock; for intervals, never recorded.
        source_ns: int64[n] UTC nanoseconds by the source's own clock (0 = none), or None for the whole scan.
        raw: the bytes as read (registers, in block order).
        exact: row of these columns -> its text or whole number beyond 2**53, for rows that are not bad; None for none.
            Such a row's ``values`` holds the nearest double, for a text the number of its characters.
        history: read from the source's own history after an outage: recorded, never judged, older than what was
            posted before it.
    """

    device: str
    config_rev: str
    points: IndexArray
    values: ValueArray
    quality: QualityArray
    taken_ns: int
    taken_mono_ns: int
    source_ns: TimeArray | None = None
    raw: bytes = b""
    exact: Exact | None = None
    history: bool = False

    def __post_init__(self) -> None:
        n = len(self.points)
        assert n == len(self.values) == len(self.quality), "a column has another length than points"
        assert self.source_ns is None or len(self.source_ns) == n, "source_ns column has another length"


def missed(device: Device, points: IndexArray, cause: Cause, taken_ns: int, taken_mono_ns: int) -> Scan:
    """A scan that says "these points could not be read, and why": NaN and bad quality in every row."""
    n = len(points)
    return Scan(
        device=device.name,
        config_rev=device.config_rev,
        points=points,
        values=np.full(n, np.nan),
        quality=np.full(n, bad(cause), dtype=np.uint8),
        taken_ns=taken_ns,
        taken_mono_ns=taken_mono_ns,
    )


@dataclass(frozen=True, slots=True)
class Picture:
    """One camera snapshot.

    Attributes:
        jpeg: the whole JPEG as the camera sent it.
        taken_ns: UTC nanoseconds at which its last byte arrived.
        sha256: SHA-256 of ``jpeg``, taken at capture.
    """

    jpeg: bytes
    taken_ns: int
    sha256: bytes
