"""The tank farm obeys its balances, repeats itself from a seed, and does what it is told."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hil import plant as farm
from hil.plant import QUANTITIES, REGISTERS_PER_TANK, TANKS, Plant

COMMANDS = st.one_of(
    st.tuples(st.just("overfill"), st.integers(0, TANKS - 1)),
    st.tuples(st.just("stop"), st.integers(0, TANKS - 1)),
)
STORY = st.lists(st.tuples(COMMANDS, st.floats(0.01, 900.0)), min_size=1, max_size=12)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), story=STORY)
def test_mass_is_balanced_whatever_happens(seed, story):
    plant = Plant(seed)
    start = plant.volume_m3.copy()
    for (command, tank), dt_s in story:
        getattr(plant, command)(tank)
        plant.step(dt_s)
        balance = start + plant.fed_m3 - plant.drawn_m3 - plant.spilled_m3
        np.testing.assert_allclose(plant.volume_m3, balance, rtol=0, atol=1e-8)
        assert (plant.volume_m3 >= 0).all()
        assert (plant.level_m <= farm.HEIGHT_M + 1e-9).all()
        assert (np.abs(plant.pressure_kpa) < 20).all()
        assert ((plant.temperature_c > 10) & (plant.temperature_c < 40)).all()


def test_the_shown_flows_explain_the_shown_level():
    plant = Plant(3)
    plant.overfill(4)
    for _ in range(200):
        before = plant.level_m
        plant.step(0.5)
        slope = (plant.inflow_m3_h - plant.outflow_m3_h) / 3600 / farm.AREA_M2
        np.testing.assert_allclose((plant.level_m - before) / 0.5, slope, atol=1e-9)


def test_filling_raises_the_pressure_and_drawing_lowers_it():
    plant = Plant(1)
    plant.overfill(0)
    plant.step(60)
    assert plant.pressure_kpa[0] > farm.BLANKET_KPA[1]
    plant.stop(0)
    for _ in range(40):
        plant.step(30)
    assert plant.pressure_kpa[0] < farm.BLANKET_KPA[1]


def test_equal_seeds_and_calls_give_equal_plants():
    first, second, other = Plant(5), Plant(5), Plant(6)
    for plant in (first, second, other):
        plant.leak(2, 30)
        for _ in range(50):
            plant.step(0.2)
    assert (first.registers() == second.registers()).all()
    assert (first.gas_lel == second.gas_lel).all()
    assert (first.registers() != other.registers()).any()


def test_an_overfilled_tank_passes_90_percent_and_comes_back_when_stopped():
    plant = Plant(0)
    plant.overfill(7)
    seconds = 0
    while plant.level_percent[7] < 92:
        plant.step(1)
        seconds += 1
    assert seconds < 1500
    assert (np.delete(plant.level_percent, 7) < 75).all()
    plant.stop(7)
    for _ in range(1500):
        plant.step(1)
    assert plant.level_percent[7] < 75


def test_a_tank_left_alone_runs_over_and_the_spill_is_counted():
    plant = Plant(0)
    plant.overfill(2)
    plant.step(7200)
    assert plant.level_percent[2] == pytest.approx(100)
    assert plant.spilled_m3[2] > 1


def test_registers_are_the_truth_within_noise_and_one_count():
    plant = Plant(9)
    plant.step(1)
    raw = plant.registers().reshape(TANKS, REGISTERS_PER_TANK)
    assert raw.dtype == np.uint16
    for column, truth in enumerate(
        (plant.level_percent, plant.temperature_c, plant.pressure_kpa, plant.inflow_m3_h, plant.outflow_m3_h)
    ):
        quantity = QUANTITIES[column]
        shown = raw[:, column] * quantity.scale + quantity.low
        clipped = np.clip(truth, quantity.low, quantity.high)
        assert (np.abs(shown - clipped) <= 6 * quantity.noise + quantity.scale).all(), quantity.name


def test_noise_moves_the_low_bits_only():
    plant = Plant(2)
    seen = []
    for _ in range(200):
        plant.step(0)
        seen.append(plant.registers()[farm.register_of(0, 1) - 2])
    assert 3 < len(set(seen)) < 150


def test_gas_rises_to_the_leak_and_falls_back():
    plant = Plant(0)
    plant.leak(3, 28.0)
    plant.step(30)
    assert plant.gas_lel[3] == pytest.approx(28, abs=1)
    assert (np.delete(plant.gas_lel, 3) < 2).all()
    plant.leak(3, 0)
    plant.step(30)
    assert plant.gas_lel[3] < 2


def test_a_ground_clamp_comes_off_and_on():
    plant = Plant(0)
    plant.open_ground(1)
    assert plant.grounded.tolist() == [True, False, True, True]
    plant.close_ground(1)
    assert plant.grounded.all()


def test_the_layout_leaves_the_counter_alone():
    places = [farm.register_of(k, q) for k in range(TANKS) for q in range(REGISTERS_PER_TANK)]
    assert places == list(range(2, farm.REGISTERS))
