"""A silent unit among ten: what is counted passes as it is; a record that lies about the unit is found out."""

import asyncio
import time

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from hil.answers import AnswerLog
from hil.scenarios import dead_unit
from hil.scenarios.dead_unit import DEAD, PERIOD_S, UNITS, VALUES, Span
from hil.speaking import UnitScans, spoken


@pytest.mark.scenario
def test_nine_units_go_on_and_the_tenth_comes_back():
    figures = asyncio.run(dead_unit.measure(dead_unit.SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["answers"] > 9
    assert figures["lost"] == figures["foreign"] == figures["false_good"] == 0


HEALTHY, FALLS, END = 4, ((10, 20), (24, 27)), 32
"""Seconds of the planted story."""
FELL, BACK = FALLS[0]


def planted(*, lie=None):
    """The record of a perfect run, a scan a second, then altered by ``lie(scans by unit)``; and the answers."""
    log, zero = AnswerLog(), time.monotonic_ns() - int(60e9)
    utc = zero + time.time_ns() - time.monotonic_ns()
    told = {}
    for n in UNITS:
        index = log.add_device(f"unit{n}")
        values = np.full((END, VALUES + 1), np.nan)
        quality = np.full((END, VALUES + 1), bad(Cause.COMM), dtype=np.uint8)
        for second in range(END):
            if n == DEAD and any(a <= second < b for a, b in FALLS):
                continue
            counter = second + 1
            log.append(index, counter, zero + int((second - 0.01) * 1e9), b"")
            values[second] = [counter, *spoken(n, counter, VALUES)]
            quality[second] = GOOD
        taken_ns = utc + (np.arange(END) * 1e9).astype(np.int64)
        told[n] = UnitScans(n, taken_ns, values, quality)
    if lie is not None:
        lie(told)
    spans = [Span(utc + int((a - 0.5) * 1e9), utc + int((b - 0.5) * 1e9)) for a, b in ((0, HEALTHY), *FALLS)]
    return dead_unit.judge(told, log.answers(), time.monotonic_ns(), spans[0], spans[1:], 0)


def test_a_perfect_record_passes():
    figures = planted()
    assert figures["verdict"] == "pass"
    assert figures["rate_kept"] == figures["rate_healthy"] == 1.0
    assert figures["back_periods_max"] == pytest.approx(0.5 / PERIOD_S)


def test_neighbours_that_wait_for_the_dead_unit_are_seen():
    def wait(told):
        told[1].quality[FELL : FELL + 3] = bad(Cause.COMM)

    figures = planted(lie=wait)
    assert figures["rate_kept"] == round(10 / 13, 3)
    assert figures["lost"] == 3


def test_neighbours_that_wait_at_a_later_fall_only_are_seen():
    def wait(told):
        again, over = FALLS[1]
        told[1].quality[again:over] = bad(Cause.COMM)

    assert planted(lie=wait)["rate_kept"] == round(10 / 13, 3)


def test_units_read_at_half_their_rate_all_the_time_are_seen():
    def halve(told):
        told[1].quality[::2] = bad(Cause.COMM)

    figures = planted(lie=halve)
    assert figures["rate_healthy"] == 0.5
    assert figures["rate_kept"] < 0.6


def test_where_between_two_scans_a_fall_begins_and_ends_makes_no_difference():
    def rate(told, phase_s):
        spans = [
            Span(told.taken_ns[n] + int(phase_s * 1e9), told.taken_ns[n] + int((phase_s + 5.4) * 1e9))
            for n in (3, 13)
        ]
        return dead_unit._rate(told, spans)

    seconds = np.arange(END)
    quality = np.full((END, 1), GOOD, dtype=np.uint8)
    told = UnitScans(1, (seconds * 1e9).astype(np.int64), seconds[:, None].astype(float), quality)
    assert {rate(told, phase_s) for phase_s in (0.05, 0.5, 0.95)} == {1.0}
    quality[6] = bad(Cause.COMM)
    assert {rate(told, phase_s) for phase_s in (0.05, 0.5, 0.95)} == {0.9}


def test_a_value_kept_good_after_the_unit_died_is_found_out():
    def keep(told):
        for second in range(FELL, BACK):
            told[DEAD].values[second] = told[DEAD].values[FELL - 1]
            told[DEAD].quality[second] = GOOD

    figures = planted(lie=keep)
    assert figures["verdict"] == "fail"
    assert figures["false_good"] == BACK - FELL - 1


def test_a_neighbours_value_is_found_out():
    def mix(told):
        told[2].values[5] = told[3].values[5]

    figures = planted(lie=mix)
    assert figures["verdict"] == "fail"
    assert figures["foreign"] == 1


def test_a_unit_that_does_not_come_back_is_found_out():
    def stay(told):
        told[DEAD].quality[BACK:] = bad(Cause.COMM)

    figures = planted(lie=stay)
    assert figures["verdict"] == "fail"
    assert "the unit did not come back" in figures["problems"]
