"""Register maps as instruments really have them, read, scaled and judged as their manuals say."""

from __future__ import annotations

import struct
from dataclasses import replace

import numpy as np
import pytest

from drivers.kit.decode import compile_plan
from drivers.kit.judgement import Judge
from drivers.kit.planner import plan
from drivers.kit.point_check import check_point, check_points
from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point

S = 1_000_000_000
OVER, UNDER = quality(Status.UNCERTAIN, Cause.OVER_RANGE), quality(Status.UNCERTAIN, Cause.UNDER_RANGE)


class Map:
    """A device with this map, its registers by function code and offset."""

    def __init__(self, points: tuple[Point, ...], **memory: dict[int, int]) -> None:
        for point in points:
            check_point(point, 1)
        timed = tuple(point if point.period_s else replace(point, period_s=1.0) for point in points)
        assert check_points(timed, 1) == []
        self.blocks = plan(points, 1, max_gap=10)
        self.decoder = compile_plan(points, 1, self.blocks)
        self.judge = Judge.of(points, self.decoder.points.tolist())
        self.memory = {3: {}, 4: {}} | {int(table[2:]): cells for table, cells in memory.items()}

    def read(self, second: float = 0.0) -> tuple[list[float], list[int]]:
        raw = b"".join(
            struct.pack(">H", self.memory[block.function_code].get(block.start + k, 0) & 0xFFFF)
            for block in self.blocks
            for k in range(block.count)
        )
        values, found = self.decoder.decode(raw)
        if self.judge is not None:
            values, found = self.judge.judge(values, found, self.decoder.watched(raw), round(second * S))
        return values.tolist(), found.tolist()


def put_float(cells: dict[int, int], offset: int, value: float) -> None:
    cells[offset], cells[offset + 1] = struct.unpack(">HH", struct.pack(">f", value))


# bits 0 to 2 are its own alarms
CONTROLLER_BITS = "3=device_fault; 4=disabled; 5=under_range; 6=over_range; 7=device_fault; 8=muted"


def controller(channels: int = 16) -> Map:
    """Combustible gas: FC04 30001+n = -10 to 110 %LEL in 0.1 %, 33001+n its status bits."""
    points = tuple(
        point
        for n in range(channels)
        for point in (
            Point(
                f"GT-{n + 1}",
                f"{30001 + n}",
                "int16",
                scale=0.1,
                range_lo=0.0,
                range_hi=100.0,
                status_point=f"GT-{n + 1}-ST",
                status_bits=CONTROLLER_BITS,
                alarmed=True,
            ),
            Point(f"GT-{n + 1}-ST", f"{33001 + n}"),
        )
    )
    return Map(points, FC4=dict.fromkeys(range(channels), 123))


def test_gas_controller_reads_a_row_of_heads_in_two_requests() -> None:
    plant = controller()
    assert [(b.function_code, b.start, b.count) for b in plant.blocks] == [(4, 0, 16), (4, 3000, 16)]
    values, found = plant.read()
    assert values[::2] == [12.3] * 16
    assert found == [GOOD] * 32


@pytest.mark.parametrize(
    ("raw", "status", "value", "found"),
    [
        (-100, 0, -10.0, UNDER),
        (-50, 0, -5.0, GOOD),
        (1100, 0, 110.0, OVER),
        (600, 0b111, 60.0, GOOD),  # its own alarms are no matter of quality
        (0, 1 << 3, np.nan, bad(Cause.DEVICE_FAULT)),
        (0, 1 << 4, np.nan, bad(Cause.DISABLED)),
        (-90, 1 << 5, -9.0, UNDER),
        (1050, 1 << 6 | 0b111, 105.0, OVER),
        (0, 1 << 7, np.nan, bad(Cause.DEVICE_FAULT)),
        (0, 1 << 8 | 1 << 6, np.nan, bad(Cause.MUTED)),
    ],
)
def test_gas_controller_head_by_head(raw: int, status: int, value: float, found: int) -> None:
    plant = controller()
    plant.memory[4][2], plant.memory[4][3002] = raw, status
    values, qualities = plant.read()
    assert qualities[4] == found
    assert values[4] == value or np.isnan([values[4], value]).all()
    assert qualities[:4] + qualities[5:] == [GOOD] * 31


def head() -> Map:
    """40001 holds nibbles of status and a bit that toggles every 2 s, 40003-4 the measurement as a float."""
    bits = "0-3:1=warm_up; 0-3:2=disabled; 0-3:3=simulation; 4-7:1=calibration; 4-7:2=calibration; 8=device_fault"
    points = (
        Point(
            "QT-1",
            "40003",
            "float32",
            status_point="QT-1-ST",
            status_bits=bits,
            heartbeat_point="QT-1-HB",
            heartbeat_s=6.0,
        ),
        Point("QT-1-ST", "40001"),
        Point("QT-1-HB", "40001", "bit", bit=15),
    )
    return Map(points, FC3={})


def test_head_with_status_nibbles_and_a_heart() -> None:
    device = head()
    cells = device.memory[3]
    put_float(cells, 2, 23.5)
    assert [(b.start, b.count) for b in device.blocks] == [(0, 4)], "value, state and heart are of one moment"
    for second in range(60):
        cells[0] = (second // 2 % 2) << 15
        assert device.read(second) == ([23.5, float(cells[0]), float(cells[0] >> 15)], [GOOD] * 3)
    states = {
        0x1: Cause.WARM_UP,
        0x2: Cause.DISABLED,
        0x3: Cause.SIMULATION,
        0x10: Cause.CALIBRATION,
        0x22: Cause.DISABLED,
        0x113: Cause.DEVICE_FAULT,
    }
    for state, cause in states.items():
        cells[0] = state
        assert device.read(60)[1] == [bad(cause), GOOD, GOOD]
    cells[0] = 0x4
    assert device.read(60.5)[1][0] == GOOD, "a nibble that means nothing here"


def test_head_behind_a_controller_that_serves_its_cache() -> None:
    device = head()
    put_float(device.memory[3], 2, 23.5)
    found = [device.read(second)[1][0] for second in range(9)]
    assert found == [GOOD] * 6 + [bad(Cause.FROZEN)] * 3
    device.memory[3][0] = 0x8000
    assert device.read(9)[1] == [GOOD] * 3


def test_decimal_position_in_the_next_register() -> None:
    points = (Point("PT-1", "40001", "int16", decimals_point="PT-1-DP"), Point("PT-1-DP", "40002"))
    device = Map(points, FC3={0: -1234, 1: 3})
    assert device.read() == ([-1.234, 3.0], [GOOD, GOOD])
    device.memory[3][1] = 0
    assert device.read()[0][0] == -1234
    device.memory[3][1] = 8
    assert device.read()[1] == [bad(Cause.DEVICE_FAULT), GOOD]


def test_high_byte_whole_low_byte_fraction() -> None:
    points = (
        Point("A", "40001", "fixed256"),
        Point("B", "40002", "fixed100"),
        Point("C", "40003", "fixed100"),
    )
    device = Map(points, FC3={0: 0x1780, 1: 0x1732, 2: 0x1764})
    values, found = device.read()
    assert values[:2] == [23.5, 23.5]
    assert found == [GOOD, GOOD, bad(Cause.DEVICE_FAULT)], "there is no hundredth hundredth"


@pytest.mark.parametrize("base", [0, 1000])
def test_float_at_base_plus_207_with_its_unit_code_six_registers_on(base: int) -> None:
    points = (
        Point("FT-1", f"FC03/{base + 207}", "float32", fault_values="-9999=maintenance"),
        Point("FT-1-UNIT", f"FC03/{base + 213}"),
    )
    cells = {base + 213: 32}
    put_float(cells, base + 207, 17.25)
    device = Map(points, FC3=cells)
    assert [(b.start, b.count) for b in device.blocks] == [(base + 207, 7)]
    assert device.read() == ([17.25, 32.0], [GOOD, GOOD])
    put_float(cells, base + 207, -9999.0)
    assert device.read()[1] == [bad(Cause.MAINTENANCE), GOOD]
    put_float(cells, base + 207, float("nan"))
    assert device.read()[1] == [bad(Cause.DEVICE_FAULT), GOOD]
