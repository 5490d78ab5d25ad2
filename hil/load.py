"""The field of the speed bench: registers that move as real ones do, and cross limits on command. Touches nothing.

Every crossing carries a raw value that no other reading of its device has, so an alarm that arrives names the
very answer that caused it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hil.configuration import Row
from hil.modbus_plc import COUNTER_REGISTERS, Unit
from hil.series import series
from hil.site_plan import ModbusDevice

SERIES_STEPS: Final = 600
"""Then the series begins again."""
SCALE: Final = 0.1
LIMITS: Final = {"ll": -20, "l": -10, "h": 6000, "hh": 6600, "deadband": 1}
"""Four limits on every point, engineering units. The series of ``ALARMING`` stay far below H, and no 16-bit
register scaled by a tenth reaches HH; other points may pass 6000.0, so they get H = 6580."""
NEVER_H: Final = 6580
ALARMING: Final = 0
"""The register (behind the counter) whose limit is crossed: a temperature below 120.0."""
FIRST_CROSSING: Final = 60_000
MAX_CROSSINGS: Final = 5_000
CROSSING_EVERY: Final = 4
"""A device's point goes beyond its limit, or back, at each so-manieth of its reads."""


class Load:
    """One device's registers.

    Args:
        index: number of the device: seed of its series and turn of its crossings.
        registers: how many beside the counter.

    Attributes:
        crossing: limits are being crossed; afterwards the point goes back and stays.
        crossed: per crossing the counter of the answer that went beyond the limit.
        returned: per crossing the counter of the answer that came back.
    """

    def __init__(self, index: int, registers: int) -> None:
        self.name = f"plc{index:03d}"
        self.crossing = False
        self.crossed: list[int] = []
        self.returned: list[int] = []
        self._index = index
        self._series = series(registers, SERIES_STEPS, seed=index)
        self._step = 0

    @property
    def tag(self) -> str:
        """The point that crosses its limit."""
        return _tag(self.name, ALARMING)

    def refresh(self, unit: Unit) -> None:
        """Next values, just before the answer whose counter is one more than now."""
        values = unit.registers[COUNTER_REGISTERS:]
        values[:] = self._series[self._step % SERIES_STEPS]
        self._step += 1
        beyond = len(self.crossed) > len(self.returned)
        turn = (self._step + self._index) % CROSSING_EVERY == 0
        if beyond and (turn or not self.crossing):
            self.returned.append(unit.counter + 1)
            beyond = False
        elif not beyond and turn and self.crossing and len(self.crossed) < MAX_CROSSINGS:
            self.crossed.append(unit.counter + 1)
            beyond = True
        if beyond:
            values[ALARMING] = FIRST_CROSSING + len(self.crossed) - 1

    def device(self) -> ModbusDevice:
        """Its place in a site."""
        registers = self._series.shape[1]
        return ModbusDevice(
            self.name, rows(self.name, registers), registers + COUNTER_REGISTERS, self.refresh
        )


def rows(device: str, registers: int) -> Sequence[Row]:
    """Point table of one device: uint16 points, a scale and four limits on each."""
    return tuple(
        {
            "tag": _tag(device, i),
            "description": f"{device} 第{i}路",
            "address": str(40_001 + COUNTER_REGISTERS + i),
            "type": "uint16",
            "scale": SCALE,
            "unit": "℃",
            **(LIMITS if i == ALARMING else {**LIMITS, "h": NEVER_H}),
        }
        for i in range(registers)
    )


def crossing_of(value: float) -> int:
    """Which crossing of its device an alarm's value names."""
    return int(np.rint(value / SCALE)) - FIRST_CROSSING


def _tag(device: str, register: int) -> str:
    return f"{device}.{register:03d}"
