"""Decides which blocks of a Modbus device are asked for so that every point is read. Pure; sends nothing.

A value is never torn over two blocks: all its registers come from one answer or it is not read.
The plan is the same for the same points, whatever their order was.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from drivers.kit.address import (
    BIT_TABLES,
    BITS_PER_REGISTER,
    MAX_BITS,
    MAX_REGISTERS,
    READING_FUNCTION_CODES,
    Regions,
    Span,
    locate,
)
from drivers.kit.errors import PointError
from drivers.kit.scan import Point

__all__ = ["BIT_TABLES", "READING_FUNCTION_CODES", "Block", "Group", "groups", "narrow", "plan"]


@dataclass(frozen=True, slots=True)
class Block:
    """One request and the points its answer holds.

    Attributes:
        unit_id: Modbus unit identifier.
        function_code: 1 to 4.
        start: offset of the first item, from 0.
        count: items asked for (bits in a bit table, else registers).
        rows: indexes into the device's point list, rising.
    """

    unit_id: int
    function_code: int
    start: int
    count: int
    rows: tuple[int, ...]

    @property
    def byte_count(self) -> int:
        """Bytes of data in a right answer."""
        return (self.count + 7) // 8 if self.function_code in BIT_TABLES else 2 * self.count


@dataclass(frozen=True, slots=True)
class Group:
    """Points read together: one scan each time.

    Attributes:
        period_s: time between two reads.
        rows: indexes into the device's point list, rising.
    """

    period_s: float
    rows: tuple[int, ...]


def groups(points: tuple[Point, ...], device_period_s: float) -> tuple[Group, ...]:
    """Scan groups of a device: those with alarms first, then the faster first.

    Args:
        points: the device's point list.
        device_period_s: period of points that name none.
    """
    rows: dict[float, list[int]] = {}
    for row, point in enumerate(points):
        rows.setdefault(device_period_s if point.period_s is None else point.period_s, []).append(row)
    calm = {period_s: not any(points[row].alarmed for row in group) for period_s, group in rows.items()}
    return tuple(Group(s, tuple(rows[s])) for s in sorted(rows, key=lambda s: (calm[s], s)))


def plan(
    points: tuple[Point, ...],
    unit_id: int,
    *,
    max_registers: int = MAX_REGISTERS,
    max_gap: int = 0,
    unreadable: Regions = (),
    rows: Iterable[int] | None = None,
) -> tuple[Block, ...]:
    """The fewest blocks that read every point (or those in ``rows``): blocks with alarmed points come first.

    Otherwise by unit, function code and address. Going from the lowest address up and filling each block as far
    as it may go needs no more blocks than any other way, because a block's reach depends on its first item alone.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        max_registers: most registers in one request; bits may be 16 times as many, 2000 at most.
        max_gap: most unwanted registers (times 16 for bits) read along to save a request.
        unreadable: what no block may touch.
        rows: which points; None for all.

    Raises:
        PointError: a point cannot be read at all.
    """
    chosen = range(len(points)) if rows is None else rows
    spans = sorted((_readable(points[row], unit_id, max_registers, unreadable), row) for row in chosen)
    blocks: list[Block] = []
    group: list[tuple[Span, int]] = []
    end = 0
    for span, row in spans:
        wide = BITS_PER_REGISTER if span.function_code in BIT_TABLES else 1
        limit = min(MAX_BITS, max_registers * wide) if wide > 1 else max_registers
        if group:
            first = group[0][0]
            fits = max(end, span.end) - first.offset <= limit and span.offset - end <= max_gap * wide
            if (
                first[:2] != span[:2]
                or not fits
                or _touched(span.function_code, end, span.offset, unreadable)
            ):
                blocks.append(_block(group, end))
                group, end = [], 0
        group.append((span, row))
        end = max(end, span.end)
    if group:
        blocks.append(_block(group, end))
    blocks.sort(key=lambda block: not any(points[row].alarmed for row in block.rows))
    return tuple(blocks)


def _touched(function_code: int, start: int, end: int, regions: Regions) -> bool:
    """Does one of the regions have an item in [start, end)?"""
    return any(
        code == function_code and first < end and start <= last and start < end
        for code, first, last in regions
    )


def _readable(point: Point, unit_id: int, max_registers: int, unreadable: Regions) -> Span:
    """Where a point is, if it fits into one request and may be asked for.

    Raises:
        PointError: it does not or may not.
    """
    span = locate(point, unit_id)
    if span.width > max_registers:
        raise PointError(
            "length" if point.type == "string" else "type",
            {
                "zh": f"{point.type} 占 {span.width} 个寄存器，超过一次请求的上限 {max_registers}。",
                "en": f"A {point.type} of {span.width} registers is more than one request may hold, {max_registers}.",
            },
            {
                "zh": "请改小，或提高设备的 max_registers。",
                "en": "Make it smaller, or raise the device's max_registers.",
            },
            point.name,
        )
    if _touched(span.function_code, span.offset, span.end, unreadable):
        raise PointError(
            "address",
            {
                "zh": f"“{point.address}”在设备声明不可读的区间内。",
                "en": f'"{point.address}" is in a range that the device declares unreadable.',
            },
            {
                "zh": "请检查地址，或修改设备的 unreadable。",
                "en": "Check the address, or the device's unreadable.",
            },
            point.name,
        )
    return span


def _block(group: list[tuple[Span, int]], end: int) -> Block:
    first = group[0][0]
    rows = tuple(sorted(row for _, row in group))
    return Block(first.unit_id, first.function_code, first.offset, end - first.offset, rows)


def narrow(points: tuple[Point, ...], unit_id: int, block: Block) -> tuple[Block, ...]:
    """Smaller blocks for one the device refused, () when nothing smaller is left: one place is refused.

    First the unwanted registers between points are given up (they may not exist), then the block is halved.
    """
    tight = plan(points, unit_id, max_registers=MAX_REGISTERS, max_gap=0, rows=block.rows)
    if len(tight) > 1:
        return tight
    spans = sorted({locate(points[row], unit_id) for row in block.rows})
    if len(spans) == 1:
        return ()
    low = set(spans[: len(spans) // 2])
    lower = [row for row in block.rows if locate(points[row], unit_id) in low]
    upper = [row for row in block.rows if locate(points[row], unit_id) not in low]
    return (
        *plan(points, unit_id, max_gap=0, rows=lower),
        *plan(points, unit_id, max_gap=0, rows=upper),
    )
