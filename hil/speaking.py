"""Registers that say whose they are and of which answer, and what a record says of them. Touches nothing.

A unit's registers 0 and 1 are its answer counter (``modbus_plc.Unit``); behind it stand values of two registers,
high word first: unit (8 bits), place of the value in the unit (8 bits), low 16 bits of the counter. So a value that
was taken for another unit's, for another address's or for another answer's, or that was put together from two
answers, says so itself.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import is_good
from drivers.kit.scan import Scan
from hil.configuration import Row
from hil.modbus_plc import COUNTER_REGISTERS, Unit

REGISTERS_PER_VALUE: Final = 2
COUNTER_MASK: Final = 0xFFFF
ANSWERS: Final = 65_536


def registers(values: int) -> int:
    """How many registers a unit with so many values has."""
    return COUNTER_REGISTERS + REGISTERS_PER_VALUE * values


def speak(unit_id: int) -> Callable[[Unit], None]:
    """What refreshes this unit before each of its answers (``modbus_plc.Unit.refresh``)."""

    def refresh(unit: Unit) -> None:
        spoken = unit.registers[COUNTER_REGISTERS:]
        spoken[0::2] = unit_id << 8 | np.arange(len(spoken) // 2)
        spoken[1::2] = (unit.counter + 1) & COUNTER_MASK

    return refresh


def spoken(unit_id: int, counter: int, values: int) -> NDArray[np.float64]:
    """float64[values]: what the unit's answer with this counter says."""
    return (np.arange(values) * ANSWERS + (unit_id << 24) + (counter & COUNTER_MASK)).astype(np.float64)


def rows_of_unit(device: str, unit_id: int, values: int) -> list[Row]:
    """Rows of the point table: the counter, then every value."""
    place = {"device": device, "unit_id": unit_id, "type": "uint32"}
    first = 40_001 + COUNTER_REGISTERS
    addresses = [40_001, *(first + REGISTERS_PER_VALUE * k for k in range(values))]
    return [
        {**place, "tag": f"{device}.{unit_id}.{k}", "address": str(address)}
        for k, address in enumerate(addresses)
    ]


@dataclass(frozen=True, slots=True, eq=False)
class UnitScans:
    """Everything a record holds of one unit, in the order of the record.

    Attributes:
        unit_id: its unit identifier.
        taken_ns: int64[k], UTC nanoseconds of each scan.
        values: float64[k, n]: the counter, then the values.
        quality: uint8[k, n].
    """

    unit_id: int
    taken_ns: NDArray[np.int64]
    values: NDArray[np.float64]
    quality: NDArray[np.uint8]

    @property
    def good(self) -> NDArray[np.bool_]:
        """bool[k]: all of it is good."""
        return np.asarray(is_good(self.quality).all(axis=1))

    @property
    def counters(self) -> NDArray[np.int64]:
        """int64[k]: the answer counter where it is good, else -1."""
        return np.where(is_good(self.quality[:, 0]), self.values[:, 0], -1.0).astype(np.int64)

    def between(self, from_ns: int, to_ns: int) -> NDArray[np.bool_]:
        """bool[k]: taken within these UTC nanoseconds."""
        return np.asarray((self.taken_ns >= from_ns) & (self.taken_ns < to_ns))

    def foreign(self) -> NDArray[np.bool_]:
        """bool[k]: a good value says another unit or another place, or another answer than its scan's counter.

        Where the counter itself is bad, nothing is said of the answer.
        """
        counters = self.counters[:, None]
        own = spoken(self.unit_id, 0, self.values.shape[1] - 1)[None, :] + (counters & COUNTER_MASK)
        values = np.where(is_good(self.quality[:, 1:]), self.values[:, 1:], own)
        unknown = np.floor(values / ANSWERS) != np.floor(own / ANSWERS)
        return np.asarray(np.where(counters < 0, unknown, values != own).any(axis=1))


def unit_scans(
    scans: Sequence[Scan], names: Sequence[str], device: str, units: Sequence[int], values: int
) -> dict[int, UnitScans]:
    """What the record holds of each unit; a scan without a unit's points says nothing of it.

    Args:
        scans: the whole record.
        names: tags of the device's points; a scan's ``points`` index them.
        device: the device.
        units: its units.
        values: per unit.
    """
    index = {name: row for row, name in enumerate(names)}
    found = {}
    ours = [scan for scan in scans if scan.device == device]
    for unit in units:
        rows = [index[f"{device}.{unit}.{k}"] for k in range(values + 1)]
        at = [(scan, np.searchsorted(scan.points, rows)) for scan in ours if np.isin(rows, scan.points).all()]
        found[unit] = UnitScans(
            unit,
            np.array([scan.taken_ns for scan, _ in at], dtype=np.int64),
            np.array([scan.values[rows_at] for scan, rows_at in at]).reshape(len(at), values + 1),
            np.array([scan.quality[rows_at] for scan, rows_at in at], dtype=np.uint8).reshape(
                len(at), values + 1
            ),
        )
    return found
