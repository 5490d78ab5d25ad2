"""Decides which blocks of a Modbus device are asked for so that every point is read. Pure; sends nothing.

A value is never torn over two blocks: both its registers come from one answer or it is not read.
The plan is the same for the same points, whatever their order was.

Addresses: Modbus Application Protocol V1.1b3 section 4.4 numbers items from 1 in four tables, the protocol
itself counts from 0. ``40001``, ``400001``, ``FC03/0`` and ``0x0000`` all mean holding register 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

from drivers.kit.errors import PointError
from drivers.kit.scan import Point

COILS: Final = 1
DISCRETE_INPUTS: Final = 2
HOLDING_REGISTERS: Final = 3
INPUT_REGISTERS: Final = 4
BIT_TABLES: Final = frozenset({COILS, DISCRETE_INPUTS})
READING_FUNCTION_CODES: Final = frozenset({COILS, DISCRETE_INPUTS, HOLDING_REGISTERS, INPUT_REGISTERS})

MAX_REGISTERS: Final = 125
"""Most registers in one answer (V1.1b3 section 6.3)."""
MAX_BITS: Final = 2000
"""Most coils or discrete inputs in one answer (V1.1b3 section 6.1)."""
ITEMS_PER_TABLE: Final = 65_536
BITS_PER_REGISTER: Final = 16

REGISTERS_OF_TYPE: Final = {"bit": 1, "uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2}
"""Types a point may have, and how many registers one value takes."""
ORDERS: Final = ("ABCD", "CDAB", "BADC", "DCBA")

_TABLE_OF_DIGIT: Final = {"0": COILS, "1": DISCRETE_INPUTS, "3": INPUT_REGISTERS, "4": HOLDING_REGISTERS}
_NUMBERED: Final = re.compile(r"([0134])(\d{4}|\d{5})")
_FUNCTION: Final = re.compile(r"FC0?([1-4])/(0X[0-9A-F]{1,4}|\d{1,5})")
_HEXADECIMAL: Final = re.compile(r"0X[0-9A-F]{1,4}")


class Place(NamedTuple):
    """Where an item is, as the protocol counts: function code 1 to 4, offset from 0."""

    function_code: int
    offset: int


class Span(NamedTuple):
    """What must be read for one point: ``width`` items (bits in a bit table, else registers)."""

    unit_id: int
    function_code: int
    offset: int
    width: int

    @property
    def end(self) -> int:
        """Offset of the first item behind it."""
        return self.offset + self.width


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


def parse_address(address: str) -> Place:
    """Read an address in any of its notations, full-width digits too.

    Raises:
        PointError: it is none of them, or outside its table.
    """
    text = unicodedata.normalize("NFKC", address).strip().upper()
    if _HEXADECIMAL.fullmatch(text):
        return Place(HOLDING_REGISTERS, int(text, 16))
    if match := _FUNCTION.fullmatch(text):
        offset = int(match[2], 16 if match[2].startswith("0X") else 10)
        if offset < ITEMS_PER_TABLE:
            return Place(int(match[1]), offset)
    elif match := _NUMBERED.fullmatch(text):
        number = int(match[2])
        if 1 <= number <= ITEMS_PER_TABLE:
            return Place(_TABLE_OF_DIGIT[match[1]], number - 1)
    raise PointError(
        "address",
        {"zh": f"“{address}”不是 Modbus 地址。", "en": f'"{address}" is not a Modbus address.'},
        {
            "zh": "请写 40001、400001、30001、10001、00001(从 1 起)、FC03/0 或 0x0000(保持寄存器,从 0 起)。",
            "en": "Write 40001, 400001, 30001, 10001, 00001 (counted from 1), FC03/0 or 0x0000 "
            "(a holding register, counted from 0).",
        },
    )


def locate(point: Point, unit_id: int) -> Span:
    """What must be read for a point; ``unit_id`` stands where the point names none.

    Raises:
        PointError: address, type, bit, order or unit identifier do not go together.
    """
    place = parse_address(point.address)
    if point.type not in REGISTERS_OF_TYPE:
        known = ", ".join(REGISTERS_OF_TYPE)
        raise PointError(
            "type",
            {"zh": f"不认识数据类型“{point.type}”。", "en": f'The type "{point.type}" is not known.'},
            {"zh": f"请从中选一个:{known}。", "en": f"Choose one of {known}."},
        )
    if point.order not in ORDERS:
        raise PointError(
            "order",
            {"zh": f"不认识字节序“{point.order}”。", "en": f'The order "{point.order}" is not known.'},
            {"zh": f"请从中选一个:{'、'.join(ORDERS)}。", "en": f"Choose one of {', '.join(ORDERS)}."},
        )
    _check_bit(point, place)
    unit = unit_id if point.unit_id is None else point.unit_id
    if not 0 <= unit <= 255:
        raise PointError(
            "unit_id",
            {"zh": f"站号 {unit} 超出范围。", "en": f"The unit identifier {unit} is out of range."},
            {"zh": "请写 0 到 255。", "en": "Write 0 to 255."},
        )
    span = Span(unit, place.function_code, place.offset, REGISTERS_OF_TYPE[point.type])
    if span.end > ITEMS_PER_TABLE:
        raise PointError(
            "address",
            {
                "zh": f"{point.type} 从“{point.address}”起超出寄存器表的末尾。",
                "en": f'A {point.type} at "{point.address}" runs past the end of its table.',
            },
            {"zh": "请检查地址或数据类型。", "en": "Check the address or the type."},
        )
    return span


def _check_bit(point: Point, place: Place) -> None:
    """A coil is a bit by itself; a register holds 16 of them."""
    if place.function_code in BIT_TABLES:
        if point.type != "bit":
            raise PointError(
                "type",
                {
                    "zh": f"“{point.address}”是线圈或离散输入,只能是一位。",
                    "en": f'"{point.address}" is a coil or discrete input, one bit.',
                },
                {"zh": "数据类型请写 bit。", "en": "Write the type bit."},
            )
        if point.bit is not None:
            raise PointError(
                "bit",
                {"zh": "线圈或离散输入没有位号。", "en": "A coil or discrete input has no bit number."},
                {"zh": "请把“位”留空。", "en": "Leave bit empty."},
            )
    elif point.type == "bit" and (point.bit is None or not 0 <= point.bit < BITS_PER_REGISTER):
        raise PointError(
            "bit",
            {"zh": "寄存器中的一位需要位号。", "en": "A bit of a register needs its number."},
            {"zh": "请写 0(最低位)到 15。", "en": "Write 0 (lowest) to 15."},
        )
    elif point.type != "bit" and point.bit is not None:
        raise PointError(
            "bit",
            {"zh": f"数据类型 {point.type} 没有位号。", "en": f"The type {point.type} has no bit number."},
            {"zh": "请把“位”留空,或把数据类型改为 bit。", "en": "Leave bit empty, or write the type bit."},
        )


def plan(
    points: tuple[Point, ...],
    unit_id: int,
    *,
    max_registers: int = MAX_REGISTERS,
    max_gap: int = 0,
    rows: Iterable[int] | None = None,
) -> tuple[Block, ...]:
    """The fewest blocks that read every point (or those in ``rows``), by unit, function code and address.

    Going from the lowest address up and filling each block as far as it may go needs no more blocks than
    any other way, because a block's reach depends on its first item alone.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        max_registers: most registers in one request; bits may be 16 times as many, 2000 at most.
        max_gap: most unwanted registers (times 16 for bits) read along to save a request.
        rows: which points; None for all.

    Raises:
        PointError: a point cannot be read at all.
    """
    chosen = range(len(points)) if rows is None else rows
    spans = sorted((locate(points[row], unit_id), row) for row in chosen)
    blocks: list[Block] = []
    group: list[tuple[Span, int]] = []
    end = 0
    for span, row in spans:
        wide = BITS_PER_REGISTER if span.function_code in BIT_TABLES else 1
        limit = min(MAX_BITS, max_registers * wide) if wide > 1 else max_registers
        if group:
            first = group[0][0]
            fits = max(end, span.end) - first.offset <= limit and span.offset - end <= max_gap * wide
            if first[:2] != span[:2] or not fits:
                blocks.append(_block(group, end))
                group, end = [], 0
        group.append((span, row))
        end = max(end, span.end)
    if group:
        blocks.append(_block(group, end))
    return tuple(blocks)


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
