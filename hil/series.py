"""Register series as real plants send them, from a seed. Pure: decides numbers, touches nothing.

Written bytes and speed depend on what values look like: constants compress to nothing, white noise to nothing
less than itself. The mix follows common tag lists: slow 0.1 °C temperatures, raw 16-bit ADC values with noise
in their low bits, levels, state words that seldom change, and totals that only grow.
"""

from __future__ import annotations

from enum import Enum
from typing import Final

import numpy as np
from numpy.typing import NDArray


class Kind(Enum):
    """What a register carries."""

    TEMPERATURE = "temperature"
    """Tenths of a degree; drifts, jitters by one step."""
    ADC = "adc"
    """Raw 16 bits of a transmitter: a slow signal and noise of some counts."""
    LEVEL = "level"
    """Hundredths of a percent; rises and falls in ramps."""
    STATE = "state"
    """A state word that changes every few minutes."""
    TOTAL = "total"
    """The low word of a total; grows and wraps."""


CYCLE: Final = (
    *(Kind.TEMPERATURE, Kind.ADC, Kind.LEVEL, Kind.TEMPERATURE, Kind.ADC),
    *(Kind.STATE, Kind.TEMPERATURE, Kind.ADC, Kind.LEVEL, Kind.TOTAL),
)
"""Kinds of ten registers in a row: 3 temperatures, 3 ADC, 2 levels, 1 state, 1 total."""

TEMPERATURE_RANGE: Final = (0, 1200)
ADC_RANGE: Final = (0, 65_535)
LEVEL_RANGE: Final = (0, 10_000)
MEAN_STATE_S: Final = 300.0


def kinds(registers: int) -> tuple[Kind, ...]:
    """Kind of each register, repeating ``CYCLE``."""
    return tuple(CYCLE[i % len(CYCLE)] for i in range(registers))


def series(registers: int, steps: int, *, period_s: float = 1.0, seed: int = 0) -> NDArray[np.uint16]:
    """Successive readings of one device.

    Returns:
        uint16[steps, registers], columns by ``kinds``; the same for the same arguments.
    """
    dice = np.random.default_rng(seed)
    t = np.arange(steps, dtype=np.float64)[:, None] * period_s
    out = np.zeros((steps, registers), dtype=np.uint16)
    layout = np.array([kind.value for kind in kinds(registers)])
    for kind in Kind:
        columns = np.flatnonzero(layout == kind.value)
        if len(columns):
            out[:, columns] = _SHAPES[kind](dice, t, len(columns), period_s)
    return out


def _temperature(
    dice: np.random.Generator, t: NDArray[np.float64], n: int, period_s: float
) -> NDArray[np.uint16]:
    walk = np.cumsum(dice.normal(0, 0.02 * np.sqrt(period_s), (len(t), n)), axis=0)
    value = dice.uniform(150, 900, n) + 10 * walk + dice.normal(0, 0.3, (len(t), n))
    return _clip(value, TEMPERATURE_RANGE)


def _adc(dice: np.random.Generator, t: NDArray[np.float64], n: int, period_s: float) -> NDArray[np.uint16]:
    del period_s
    swing = dice.uniform(200, 2000, n) * np.sin(2 * np.pi * (t / dice.uniform(60, 900, n) + dice.random(n)))
    value = dice.uniform(12_000, 50_000, n) + swing + dice.normal(0, 6, (len(t), n))
    return _clip(value, ADC_RANGE)


def _level(dice: np.random.Generator, t: NDArray[np.float64], n: int, period_s: float) -> NDArray[np.uint16]:
    del period_s
    phase = (t / dice.uniform(600, 3600, n) + dice.random(n)) % 1.0
    ramp = np.abs(2 * phase - 1)
    return _clip(2000 + 6000 * ramp + dice.normal(0, 1.0, (len(t), n)), LEVEL_RANGE)


def _state(dice: np.random.Generator, t: NDArray[np.float64], n: int, period_s: float) -> NDArray[np.uint16]:
    toggles = dice.random((len(t), n)) < period_s / MEAN_STATE_S
    bit = np.left_shift(1, dice.integers(0, 8, (len(t), n)))
    state: NDArray[np.uint16] = np.bitwise_xor.accumulate(np.where(toggles, bit, 0), axis=0).astype(np.uint16)
    return state


def _total(dice: np.random.Generator, t: NDArray[np.float64], n: int, period_s: float) -> NDArray[np.uint16]:
    flow = np.maximum(dice.normal(20, 2, (len(t), n)), 0) * period_s
    total = dice.integers(0, 65_536, n) + np.cumsum(flow, axis=0)
    wrapped: NDArray[np.uint16] = (total.astype(np.int64) % 65_536).astype(np.uint16)
    return wrapped


def _clip(values: NDArray[np.float64], limits: tuple[int, int]) -> NDArray[np.uint16]:
    clipped: NDArray[np.uint16] = np.clip(np.rint(values), *limits).astype(np.uint16)
    return clipped


_SHAPES: Final = {
    Kind.TEMPERATURE: _temperature,
    Kind.ADC: _adc,
    Kind.LEVEL: _level,
    Kind.STATE: _state,
    Kind.TOTAL: _total,
}
