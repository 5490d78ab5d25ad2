"""Decides whether a Modbus device's points can be read as written, each by itself and all together. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from drivers.kit.address import MAX_REGISTERS, REGISTERS_OF_TYPE, Regions, locate, parse_address
from drivers.kit.errors import PointError
from drivers.kit.fault_value import fault_patterns
from drivers.kit.options import judge, refuse, within
from drivers.kit.planner import plan
from drivers.kit.scaling import scale_of
from drivers.kit.scan import Point
from drivers.kit.status_word import parse_fault_values, parse_status_bits

PERIOD_LEAST_S: Final = 0.05
PERIOD_MOST_S: Final = 3_600.0
LIFE_MOST_S: Final = 86_400.0
"""Longest time a heartbeat or a value may be demanded to change within."""
PERIODS_OF_LIFE: Final = 2
"""Who looks once a period cannot see in less than so many of them that something stands still."""

WORD_BITS: Final = {"uint16": 16, "uint32": 32}
"""Types a status word may have."""
_TYPES: Final = {
    "status_point": tuple(WORD_BITS),
    "heartbeat_point": ("bit",),
    "decimals_point": ("uint16", "int16", "uint32", "int32", "bcd16"),
}
"""Types a point may have that another one names here."""
_PLAIN: Final = (
    ("scale", 1.0),
    ("offset", 0.0),
    ("raw_lo", None),
    ("raw_hi", None),
    ("range_lo", None),
    ("range_hi", None),
    ("fault_values", ""),
    ("decimals_point", ""),
)
"""What a text has none of."""
_ZH: Final = {
    "status_point": "状态点",
    "status_bits": "状态位",
    "heartbeat_point": "心跳点",
    "heartbeat_s": "心跳时限",
}
"""Columns as a Chinese point table heads them."""


def check_point(point: Point, unit_id: int) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: a cell of it is wrong.
    """
    judge(
        partial(parse_address, point.address),
        partial(locate, point, unit_id),
        partial(_check_scaling, point),
        partial(_check_faults, point),
        partial(parse_status_bits, point.status_bits),
        partial(_both, point, "status_point", "status_bits"),
        partial(_both, point, "heartbeat_point", "heartbeat_s"),
        *(partial(_check_span, point, field) for field in ("period_s", "heartbeat_s", "frozen_s")),
        partial(_check_deadband, point),
    )


def _check_scaling(point: Point) -> None:
    scale_of(point)
    if point.type == "string":
        for field, empty in _PLAIN:
            if getattr(point, field) != empty:
                refuse(field, "文本没有这一项。", "A string has none.", "空", "nothing")


def _check_faults(point: Point) -> None:
    """Of a type that is not known only the spelling can be judged."""
    if point.type in REGISTERS_OF_TYPE:
        fault_patterns(point)
    else:
        parse_fault_values(point.fault_values)


def _check_span(point: Point, field: str) -> None:
    if (span_s := getattr(point, field)) is not None:
        within(field, span_s, PERIOD_LEAST_S, PERIOD_MOST_S if field == "period_s" else LIFE_MOST_S)


def _check_deadband(point: Point) -> None:
    if point.sample_deadband:
        zh, en = "轮询的设备没有采集死区。", "A device that is polled has no deadband."
        refuse("sample_deadband", zh, en, "空", "nothing")


def _both(point: Point, one: str, other: str) -> None:
    """Two cells that say nothing without each other."""
    for empty, full in ((one, other), (other, one)):
        if not getattr(point, empty) and getattr(point, full):
            zh = f"写了“{_ZH[full]}”，没有写“{_ZH[empty]}”。"
            refuse(
                empty,
                zh,
                f"It goes with {full}.",
                f"上“{_ZH[empty]}”，或两格都留空",
                f"{empty}, or neither of the two",
            )


def check_points(
    points: tuple[Point, ...],
    unit_id: int,
    *,
    max_registers: int = MAX_REGISTERS,
    unreadable: Regions = (),
) -> list[PointError]:
    """What is wrong between the points, each error with its ``point``; every point passed ``check_point``.

    Args:
        points: the device's point list; each says its period, for only then it can be judged.
        unit_id: unit identifier of points that name none.
        max_registers: most registers in one request.
        unreadable: what no request may touch.
    """
    known = {point.name: point for point in points}
    errors = []
    for row, point in enumerate(points):
        asked = partial(
            plan, points, unit_id, max_registers=max_registers, unreadable=unreadable, rows=(row,)
        )
        checks: tuple[Callable[[], object], ...] = (
            asked,
            *(partial(_check_partner, point, field, known) for field in _TYPES),
            partial(_check_life, point),
        )
        for check in checks:
            try:
                check()
            except PointError as error:
                error.point = point.name
                errors.append(error)
    return errors


def _check_partner(point: Point, field: str, known: dict[str, Point]) -> None:
    """The point that another one names: is it there, in the same scan, and of a use?"""
    name = getattr(point, field)
    if not name:
        return
    other = known.get(name)
    if other is None or other is point:
        zh, en = f"这台设备上没有另一个点“{name}”。", f'This device has no other point "{name}".'
        refuse(field, zh, en, "同一设备上的位号", "the tag of a point of the same device")
    if other.period_s != point.period_s:
        zh = f"“{name}”的采集周期与本点不同。"
        en = f'"{name}" is read in another period than this point.'
        refuse(field, zh, en, "采集周期相同的位号", "the tag of a point of the same period")
    if other.type not in _TYPES[field]:
        zh, en = f"“{name}”的数据类型用不了。", f'"{name}" has a type that is of no use here.'
        types = " / ".join(_TYPES[field])
        refuse(field, zh, en, f"数据类型为 {types} 的点", f"the tag of a point of type {types}")
    if field == "status_point":
        parse_status_bits(point.status_bits, WORD_BITS[other.type])
    if other.status_point or other.decimals_point or scale_of(other) != (1.0, 0.0, 1.0):
        zh = f"“{name}”本身有换算、状态点或小数位点。"
        en = f'"{name}" is itself scaled, or has a status point or a decimals point.'
        refuse(field, zh, en, "一个没有这些的点", "the tag of a point without these")


def _check_life(point: Point) -> None:
    """Is there time enough to see that something moves?"""
    period = point.period_s
    for field in ("heartbeat_s", "frozen_s"):
        life_s = getattr(point, field)
        if life_s is not None and period is not None and life_s < PERIODS_OF_LIFE * period:
            zh = f"{life_s:g} s 短于 {PERIODS_OF_LIFE} 个采集周期，看不出变化。"
            en = f"{life_s:g} s is less than {PERIODS_OF_LIFE} periods: no change can be seen in it."
            least = f"{PERIODS_OF_LIFE * period:g}"
            refuse(field, zh, en, f"至少 {least} 的秒数", f"at least {least}")
