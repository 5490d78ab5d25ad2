import numpy as np
import pytest

from drivers.kit.quality import Cause, bad
from drivers.kit.scan import Device, Point, Scan, missed

DEVICE = Device("plc", (Point("A", "40001"), Point("B", "40002")), config_rev="rev")


def test_a_miss_says_so_in_every_row():
    scan = missed(DEVICE, np.array([0, 1], dtype=np.uint16), Cause.COMM, 5, 7)
    assert np.isnan(scan.values).all()
    assert scan.quality.tolist() == [bad(Cause.COMM)] * 2
    assert (scan.device, scan.config_rev, scan.taken_ns, scan.taken_mono_ns) == ("plc", "rev", 5, 7)


@pytest.mark.parametrize("short", ["values", "quality", "source_ns"])
def test_columns_of_another_length_are_refused(short):
    columns = {
        "values": np.zeros(2),
        "quality": np.zeros(2, dtype=np.uint8),
        "source_ns": np.zeros(2, dtype=np.int64),
    }
    columns[short] = columns[short][:1]
    with pytest.raises(AssertionError, match="length"):
        Scan("plc", "rev", np.array([0, 1], dtype=np.uint16), taken_ns=0, taken_mono_ns=0, **columns)
