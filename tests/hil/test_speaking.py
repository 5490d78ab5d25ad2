"""Registers that say whose they are: a value of another unit, place or answer does not pass for one's own."""

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Scan
from hil.modbus_plc import Unit
from hil.speaking import registers, rows_of_unit, speak, spoken, unit_scans

VALUES = 3


def told(columns, quality=None):
    """The record's word on unit 5 of a line with units 4 and 5, from one scan with these values of unit 5."""
    names = [str(row["tag"]) for unit in (4, 5) for row in rows_of_unit("line", unit, VALUES)]
    rows = np.arange(4, 8, dtype=np.uint16)
    quality = np.array(quality or [GOOD] * 4, dtype=np.uint8)
    scan = Scan("line", "rev", rows, np.array(columns, dtype=np.float64), quality, 1_000, 0)
    other = Scan("else", "rev", rows, scan.values, quality, 1_000, 0)
    return unit_scans([scan, other], names, "line", [4, 5], VALUES)


def own(counter):
    return [counter, *spoken(5, counter, VALUES)]


def test_what_a_unit_says_is_what_is_expected_of_it():
    unit = Unit("unit5", registers(VALUES), refresh=speak(5))
    unit.refresh(unit)
    values = unit.registers[2:].astype(np.int64)
    assert (values[0::2] * 65_536 + values[1::2]).tolist() == spoken(5, 1, VALUES).tolist()


def test_a_record_is_told_apart_by_unit():
    units = told(own(70_000))
    assert len(units[4].taken_ns) == 0
    assert units[5].good.tolist() == [True]
    assert units[5].counters.tolist() == [70_000]
    assert units[5].foreign().tolist() == [False]
    assert units[5].between(1_000, 1_001).tolist() == [True]
    assert units[5].between(0, 1_000).tolist() == [False]


@pytest.mark.parametrize(
    "columns",
    [
        [7, *spoken(4, 7, VALUES)],
        [7, *spoken(5, 6, VALUES)],
        [7, *np.roll(spoken(5, 7, VALUES), 1)],
        [7, *spoken(5, 7, VALUES)[:2], spoken(5, 8, VALUES)[2]],
    ],
    ids=["another unit", "another answer", "another place", "torn"],
)
def test_a_foreign_value_is_found(columns):
    assert told(columns)[5].foreign().tolist() == [True]


def test_what_is_bad_claims_nothing():
    units = told([np.nan] * 4, [bad(Cause.COMM)] * 4)
    assert units[5].counters.tolist() == [-1]
    assert units[5].good.tolist() == [False]
    assert units[5].foreign().tolist() == [False]


@pytest.mark.parametrize(("unit", "is_foreign"), [(5, False), (4, True)])
def test_without_its_counter_a_value_still_says_its_unit(unit, is_foreign):
    units = told([np.nan, *spoken(unit, 7, VALUES)], [bad(Cause.COMM), *[GOOD] * VALUES])
    assert units[5].foreign().tolist() == [is_foreign]
