"""Columns have one length, and a miss is bad and NaN in every row."""

from __future__ import annotations

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Device, Point, Scan, missed

DEVICE = Device("plc", (Point("a", "40001"), Point("b", "40002")), config_rev="r1")
ROWS = np.array([0, 1], dtype=np.uint16)


def test_a_miss_says_of_every_point_that_it_was_not_read() -> None:
    scan = missed(DEVICE, ROWS, Cause.COMM, 5, 6)
    assert np.isnan(scan.values).all()
    assert scan.quality.tolist() == [bad(Cause.COMM)] * 2
    assert (scan.device, scan.config_rev, scan.taken_ns, scan.taken_mono_ns) == ("plc", "r1", 5, 6)
    assert scan.source_ns is None


@pytest.mark.parametrize("column", ["values", "quality", "source_ns"])
def test_columns_of_different_length_are_caught(column: str) -> None:
    columns = {
        "values": np.zeros(2),
        "quality": np.full(2, GOOD, dtype=np.uint8),
        "source_ns": np.zeros(2, dtype=np.int64),
    }
    columns[column] = columns[column][:1]
    with pytest.raises(AssertionError, match="column has another length"):
        Scan(device="plc", config_rev="", points=ROWS, taken_ns=0, taken_mono_ns=0, **columns)
