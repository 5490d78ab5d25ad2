"""The tank farm as a site: which tags it has, what they are limited to, and the plant that moves behind them.

Decides the point table and turns the plant's numbers into what the PLCs show; runs no gateway.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import numpy as np

from hil.configuration import Row
from hil.modbus_plc import Unit
from hil.opcua_plc import OpcuaPlc
from hil.plant import (
    GAS_DETECTORS,
    GROUNDING_CONTACTS,
    PUMP_M3_H,
    QUANTITIES,
    REGISTERS,
    TANKS,
    VOLUME_M3,
    Plant,
    register_of,
)
from hil.site_plan import CameraView, ModbusDevice, OpcuaDevice, SitePlan

TICK_S: Final = 0.25
PACE: Final = 60.0
"""Seconds of plant time per second: a stuck valve fills a tank in a quarter of a minute."""
SEED: Final = 7
FILLS_PERCENT_S: Final = 100.0 * PUMP_M3_H / 3600.0 * PACE / VOLUME_M3
"""How fast a stuck valve fills a tank, percent per second of the story."""

TANK_PLC: Final = "plc1"
GAS_PLC: Final = "plc2"
CAMERA: Final = "cam1"
SIREN_FILE: Final = "siren.jsonl"
"""In the site's folder; a line for everything that sounds."""
HORN_FILE: Final = "horn.jsonl"
WARNS: Final = "bureau"
"""The recipient that sends warnings down."""
GAS: Final = tuple(f"GT-2{k + 1:02d}" for k in range(GAS_DETECTORS))
CONTACTS: Final = tuple(f"XG-2{k + 1:02d}" for k in range(GROUNDING_CONTACTS))
LEVEL_H: Final = 85.0
LEVEL_HH: Final = 90.0
GAS_LEVEL_1: Final = 25.0
GAS_LEVEL_2: Final = 50.0

_TAGS: Final = ("LT", "TT", "PT", "FI", "FO")
_CALLED: Final = (
    ("液位", "level"),
    ("温度", "temperature"),
    ("压力", "pressure"),
    ("进料流量", "inflow"),
    ("出料流量", "outflow"),
)
_LIMITS: Final[tuple[dict[str, float], ...]] = (
    {"ll": 10.0, "l": 20.0, "h": LEVEL_H, "hh": LEVEL_HH, "deadband": 2.0},
    {"h": 60.0, "hh": 70.0, "deadband": 1.0},
    {"h": 8.0, "hh": 12.0, "deadband": 0.5},
    {"h": 230.0, "deadband": 10.0},
    {"h": 230.0, "deadband": 10.0},
)


def tag_of(tank: int, quantity: int) -> str:
    """Tag of a tank's quantity (both counted from 0), e.g. ``LT-101``."""
    return f"{_TAGS[quantity]}-1{tank + 1:02d}"


class Farm:
    """The plant and what its PLCs show.

    Args:
        language: of the descriptions in the point table.

    Attributes:
        plant: the truth.
        tank: the tank nearest to full, counted from 0: the one the story overfills and the camera looks at.
    """

    def __init__(self, language: str = "zh") -> None:
        self.plant = Plant(SEED)
        self.tank = int(np.argmax(self.plant.level_percent))
        self._language = language

    def level(self) -> float:
        """Level of the watched tank, percent."""
        return float(self.plant.level_percent[self.tank])

    def fullest_beside(self) -> int:
        """Of the other tanks the one nearest to full now."""
        levels = self.plant.level_percent.copy()
        levels[self.tank] = 0.0
        return int(np.argmax(levels))

    def seconds_to_high(self, tank: int) -> float:
        """How long a stuck valve takes from now to this tank's limit H, in seconds of the story."""
        return max(0.0, LEVEL_H - float(self.plant.level_percent[tank])) / FILLS_PERCENT_S

    def plan(self) -> SitePlan:
        """The site: one Modbus PLC with ten tanks, one OPC UA PLC, one camera, province and bureau."""
        rows = [self._tank_row(tank, q) for tank in range(TANKS) for q in range(len(QUANTITIES))]
        return SitePlan(
            modbus=(ModbusDevice(TANK_PLC, rows, REGISTERS, self._refresh),),
            opcua=OpcuaDevice(GAS_PLC, self._gas_rows(), GAS, CONTACTS),
            cameras=(CameraView(CAMERA, self.level),),
            orders_from=(WARNS,),
            outputs=(
                {"name": "siren", "kind": "file", "path": Path(SIREN_FILE)},
                {"name": "horn", "kind": "file", "path": Path(HORN_FILE), "signal": "horn"},
            ),
            language=self._language,
        )

    async def run(self, opcua: OpcuaPlc) -> None:
        """Move the plant and show it, for ever."""
        while True:
            self.plant.step(TICK_S * PACE)
            shown: dict[str, float | bool] = dict(zip(GAS, self.plant.gas_lel.tolist(), strict=True))
            shown.update(zip(CONTACTS, self.plant.grounded.tolist(), strict=True))
            await opcua.show(shown)
            await asyncio.sleep(TICK_S)

    def _refresh(self, unit: Unit) -> None:
        unit.registers[2:] = self.plant.registers()

    def _said(self, zh: str, en: str) -> str:
        return zh if self._language == "zh" else en

    def _tank_row(self, tank: int, quantity: int) -> Row:
        measured = QUANTITIES[quantity]
        zh, en = _CALLED[quantity]
        return {
            "tag": tag_of(tank, quantity),
            "description": self._said(f"{tank + 1}号罐{zh}", f"tank {tank + 1} {en}"),
            "address": f"4{register_of(tank, quantity) + 1:04d}",
            "type": "uint16",
            "scale": measured.scale,
            "offset": measured.low,
            "unit": measured.unit,
            "range_lo": measured.low,
            "range_hi": measured.high,
            "area": self._said("罐区", "tank farm"),
            "priority": 1 if quantity == 0 else 2,
            "camera": CAMERA if quantity == 0 else "",
            **_LIMITS[quantity],
        }

    def _gas_rows(self) -> list[Row]:
        area = self._said("装车台", "loading bay")
        gas = [
            {
                "tag": name,
                "description": self._said(f"{k + 1}号可燃气体", f"gas detector {k + 1}"),
                "address": name,
                "unit": "%LEL",
                "range_lo": 0.0,
                "range_hi": 110.0,
                "h": GAS_LEVEL_1,
                "hh": GAS_LEVEL_2,
                "priority": 1,
                "area": area,
            }
            for k, name in enumerate(GAS)
        ]
        contacts = [
            {
                "tag": name,
                "description": self._said(f"{k + 1}号鹤位静电接地", f"grounding of bay {k + 1}"),
                "address": name,
                "type": "bool",
                "alarm_on": 0,
                "priority": 1,
                "area": area,
            }
            for k, name in enumerate(CONTACTS)
        ]
        return [*gas, *contacts]
