"""A tank farm as arithmetic: ten tanks, gas detectors, grounding contacts. Pure: no clock, no socket.

Volume, gas and heat are balanced per tank and step:
    dV/dt = q_in - q_out - q_spill                    level = V / A
    dN/dt = q_nitrogen - q_vent                       N = (p + p_atm) * V_gas, isothermal vapour space
    dT/dt = q_in (T_in - T) / V - (T - T_ambient) / tau
What the PLC sees is that truth plus seeded noise, quantised to 16 bits over each transmitter's range.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float64]
Bools: TypeAlias = NDArray[np.bool_]

TANKS: Final = 10
GAS_DETECTORS: Final = 6
GROUNDING_CONTACTS: Final = 4

HEIGHT_M: Final = 10.0
AREA_M2: Final = 12.5
VOLUME_M3: Final = HEIGHT_M * AREA_M2
GAS_SPACE_ABOVE_M3: Final = 5.0
"""Dome above the rim, so that a full tank still has a vapour space."""

PUMP_M3_H: Final = 180.0
FEED_M3_H: Final = 60.0
DEMAND_M3_H: Final = 55.0
FILL_BELOW: Final = 0.35
EMPTY_ABOVE: Final = 0.70
"""The plant's own control keeps levels between these fractions of the height."""

ATMOSPHERE_KPA: Final = 101.325
BLANKET_KPA: Final = (1.0, 3.0)
"""Nitrogen flows in below, the breather vents above; gauge."""
VALVE_M3_S_PER_KPA: Final = 0.08
AMBIENT_C: Final = 18.0
FEED_C: Final = 35.0
COOLING_S: Final = 40_000.0
GAS_TAU_S: Final = 2.0
GAS_BACKGROUND_LEL: Final = 0.8
MAX_STEP_S: Final = 1.0
"""Longer steps are cut into pieces no longer than this."""

FULL_COUNT: Final = 65_535


@dataclass(frozen=True, slots=True)
class Quantity:
    """One transmitter per tank.

    Attributes:
        name: what it measures.
        unit: engineering unit.
        low: value at raw 0.
        high: value at raw 65535; engineering value = raw * (high - low) / 65535 + low.
        noise: standard deviation, engineering units.
    """

    name: str
    unit: str
    low: float
    high: float
    noise: float

    @property
    def scale(self) -> float:
        """Engineering units per count."""
        return (self.high - self.low) / FULL_COUNT


QUANTITIES: Final = (
    Quantity("level", "%", 0.0, 100.0, 0.02),
    Quantity("temperature", "℃", -20.0, 120.0, 0.03),
    Quantity("pressure", "kPa", -5.0, 25.0, 0.01),
    Quantity("inflow", "m³/h", 0.0, 250.0, 0.15),
    Quantity("outflow", "m³/h", 0.0, 250.0, 0.15),
)
"""Order of the registers of each tank."""

REGISTERS_PER_TANK: Final = len(QUANTITIES)


def register_of(tank: int, quantity: int) -> int:
    """Modbus register of a tank's quantity; 0 and 1 are the answer counter."""
    return 2 + tank * REGISTERS_PER_TANK + quantity


REGISTERS: Final = register_of(TANKS, 0)
"""Size of the PLC's register space."""


class Plant:
    """The farm: ``step`` moves it, commands disturb it, ``registers``, ``gas_lel``, ``grounded`` show it.

    Args:
        seed: of starting levels, demand and noise; equal seeds and calls give equal plants.

    Attributes:
        volume_m3: float[10].
        level_m: float[10].
        temperature_c: float[10].
        pressure_kpa: float[10], gauge.
        inflow_m3_h: float[10] as realised in the last step.
        outflow_m3_h: float[10] as realised in the last step.
        fed_m3: float[10], everything that ever flowed in.
        drawn_m3: float[10], everything that ever flowed out by the pump.
        spilled_m3: float[10], everything that ever ran over the rim.
        gas_lel: float[6], %LEL as the detectors show it.
        grounded: bool[4], True where the tanker is earthed.
    """

    def __init__(self, seed: int = 0) -> None:
        self._dice = np.random.default_rng(seed)
        self.volume_m3: Floats = VOLUME_M3 * self._dice.uniform(0.45, 0.62, TANKS)
        self.temperature_c: Floats = self._dice.uniform(20.0, 32.0, TANKS)
        self._gas_kpa_m3: Floats = (ATMOSPHERE_KPA + 2.0) * self._vapour_m3()
        self._demand_m3_h: Floats = np.full(TANKS, DEMAND_M3_H)
        self._filling: Bools = self._dice.random(TANKS) < 0.5
        self._stuck: Bools = np.zeros(TANKS, dtype=np.bool_)
        self._leak_lel: Floats = np.zeros(GAS_DETECTORS)
        self._gas_truth_lel: Floats = np.full(GAS_DETECTORS, GAS_BACKGROUND_LEL)
        self.inflow_m3_h: Floats = np.zeros(TANKS)
        self.outflow_m3_h: Floats = np.zeros(TANKS)
        self.fed_m3: Floats = np.zeros(TANKS)
        self.drawn_m3: Floats = np.zeros(TANKS)
        self.spilled_m3: Floats = np.zeros(TANKS)
        self.gas_lel: Floats = self._gas_truth_lel.copy()
        self.grounded: Bools = np.ones(GROUNDING_CONTACTS, dtype=np.bool_)
        self._measure()

    @property
    def level_m(self) -> Floats:
        """Height of the liquid, float[10]."""
        return self.volume_m3 / AREA_M2

    @property
    def level_percent(self) -> Floats:
        """Level as the operators read it, float[10]."""
        return 100.0 * self.volume_m3 / VOLUME_M3

    @property
    def pressure_kpa(self) -> Floats:
        """Gauge pressure of the vapour space, float[10]."""
        return self._gas_kpa_m3 / self._vapour_m3() - ATMOSPHERE_KPA

    def registers(self) -> NDArray[np.uint16]:
        """What the transmitters show since the last step: uint16[50], tank after tank."""
        return self._raw

    def overfill(self, tank: int) -> None:
        """The inflow valve sticks wide open; the outlet pump stands."""
        self._stuck[tank] = True

    def stop(self, tank: int) -> None:
        """The valve is freed and shut; the pump draws the tank down until control takes over again."""
        self._stuck[tank] = False
        self._filling[tank] = False

    def leak(self, detector: int, lel: float) -> None:
        """Gas rises to ``lel`` %LEL at this detector; 0 ends the leak."""
        self._leak_lel[detector] = lel

    def open_ground(self, contact: int) -> None:
        """The tanker's earth clamp comes off."""
        self.grounded[contact] = False

    def close_ground(self, contact: int) -> None:
        """The clamp is on again."""
        self.grounded[contact] = True

    def step(self, dt_s: float) -> None:
        """Move the plant by ``dt_s`` seconds and read every transmitter once."""
        pieces = max(1, int(np.ceil(dt_s / MAX_STEP_S)))
        for _ in range(pieces):
            self._move(dt_s / pieces)
        self._measure()

    def _move(self, dt_s: float) -> None:
        full = self.volume_m3 / VOLUME_M3
        self._filling = (self._filling & (full < EMPTY_ABOVE)) | (full < FILL_BELOW)
        self._demand_m3_h += dt_s / 60.0 * (DEMAND_M3_H - self._demand_m3_h)
        self._demand_m3_h += self._dice.normal(0.0, 1.0, TANKS) * np.sqrt(dt_s)
        wanted_in = np.where(self._stuck, PUMP_M3_H, np.where(self._filling, 2 * FEED_M3_H, 0.0))
        high = full > EMPTY_ABOVE
        wanted_out = np.where(
            self._stuck, 0.0, np.where(high, PUMP_M3_H, np.clip(self._demand_m3_h, 0.0, PUMP_M3_H))
        )
        fed = wanted_in * dt_s / 3600.0
        drawn = np.minimum(wanted_out * dt_s / 3600.0, self.volume_m3 + fed)
        mixing = fed / np.maximum(self.volume_m3 + fed, 1e-9)
        self.temperature_c += mixing * (FEED_C - self.temperature_c)
        self.temperature_c -= dt_s / COOLING_S * (self.temperature_c - AMBIENT_C)
        volume = self.volume_m3 + fed - drawn
        spilled = np.maximum(volume - VOLUME_M3, 0.0)
        self.volume_m3 = volume - spilled
        self.fed_m3 += fed
        self.drawn_m3 += drawn
        self.spilled_m3 += spilled
        self.inflow_m3_h = fed * 3600.0 / dt_s if dt_s > 0 else wanted_in
        self.outflow_m3_h = drawn * 3600.0 / dt_s if dt_s > 0 else wanted_out
        self._breathe(dt_s)
        self._gas_truth_lel += (1.0 - np.exp(-dt_s / GAS_TAU_S)) * (
            np.maximum(self._leak_lel, GAS_BACKGROUND_LEL) - self._gas_truth_lel
        )

    def _breathe(self, dt_s: float) -> None:
        # Implicit in the pressure, so that a long step cannot overshoot the valve's set point.
        low, high = BLANKET_KPA
        vapour = self._vapour_m3()
        pressure = self.pressure_kpa
        aim = np.clip(pressure, low, high)
        share = 1.0 - np.exp(-dt_s * VALVE_M3_S_PER_KPA * ATMOSPHERE_KPA / vapour)
        self._gas_kpa_m3 += share * (aim - pressure) * vapour

    def _vapour_m3(self) -> Floats:
        return VOLUME_M3 - self.volume_m3 + GAS_SPACE_ABOVE_M3

    def _measure(self) -> None:
        truth = (
            self.level_percent,
            self.temperature_c,
            self.pressure_kpa,
            self.inflow_m3_h,
            self.outflow_m3_h,
        )
        raw = np.empty(TANKS * REGISTERS_PER_TANK, dtype=np.uint16)
        for column, (quantity, values) in enumerate(zip(QUANTITIES, truth, strict=True)):
            seen = values + self._dice.normal(0.0, quantity.noise, TANKS)
            counts = np.rint((seen - quantity.low) / quantity.scale)
            raw[column::REGISTERS_PER_TANK] = np.clip(counts, 0, FULL_COUNT)
        self._raw = raw
        noise = self._dice.normal(0.0, 0.1, GAS_DETECTORS)
        self.gas_lel = np.clip(np.round(self._gas_truth_lel + noise, 1), 0.0, 110.0)
