"""Decides what a Modbus point's address, type, bit and order mean: what must be read for it. Pure; sends nothing.

Modbus Application Protocol V1.1b3 section 4.4 numbers items from 1 in four tables, the protocol itself counts
from 0. ``40001``, ``400001``, ``FC03/0`` and ``0x0000`` all mean holding register 0.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from typing import Final, NamedTuple, TypeAlias

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

REGISTERS_OF_TYPE: Final = {
    "bit": 1,
    "uint16": 1,
    "int16": 1,
    "bcd16": 1,
    "fixed256": 1,
    "fixed100": 1,
    "uint32": 2,
    "int32": 2,
    "bcd32": 2,
    "float32": 2,
    "uint64": 4,
    "int64": 4,
    "float64": 4,
    "string": 0,
}
"""Types a point may have, and how many registers one value takes; a string says so itself (``length``)."""
MAX_STRING_REGISTERS: Final = 64
ORDERS: Final = ("ABCD", "CDAB", "BADC", "DCBA")
"""The bytes as they arrive, A the highest of the value; by analogy words and bytes of wider values, and of a value of
one register the bytes: BADC and DCBA have its lower one first."""
LONG_ORDERS: Final = {"ABCDEFGH": "ABCD", "GHEFCDAB": "CDAB", "BADCFEHG": "BADC", "HGFEDCBA": "DCBA"}
"""The same four written out for a value of four registers."""

_TABLE_OF_DIGIT: Final = {"0": COILS, "1": DISCRETE_INPUTS, "3": INPUT_REGISTERS, "4": HOLDING_REGISTERS}
_NUMBERED: Final = re.compile(r"([0134])(\d{4}|\d{5})")
_FUNCTION: Final = re.compile(r"FC0?([1-4])/(0X[0-9A-F]{1,4}|\d{1,5})")
_HEXADECIMAL: Final = re.compile(r"0X[0-9A-F]{1,4}")
_DASH: Final = re.compile("[-\u2010-\u2015\u2212~]")

Regions: TypeAlias = tuple[tuple[int, int, int], ...]
"""Places that must never be asked for: (function code, first offset, last offset), every unit's."""


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
            "zh": "请写 40001、400001、30001、10001、00001（从 1 起）、FC03/0 或 0x0000（保持寄存器，从 0 起）。",
            "en": "Write 40001, 400001, 30001, 10001, 00001 (counted from 1), FC03/0 or 0x0000 "
            "(a holding register, counted from 0).",
        },
    )


def parse_regions(texts: Iterable[str]) -> Regions:
    """Read what a device must never be asked for: ``40101-40110``, ``FC04/0-FC04/9`` or one address.

    Raises:
        PointError: one of them is no such thing; its field is ``unreadable``.
    """
    regions = []
    for text in texts:
        try:
            ends = [parse_address(part) for part in _DASH.split(unicodedata.normalize("NFKC", text))]
        except PointError:
            ends = []
        if not 1 <= len(ends) <= 2 or ends[0].function_code != ends[-1].function_code or ends[0] > ends[-1]:
            raise PointError(
                "unreadable",
                {"zh": f"“{text}”不是地址区间。", "en": f'"{text}" is not a range of addresses.'},
                {
                    "zh": "请写同一张表的首尾地址，如 40101-40110 或 FC04/0-FC04/9。",
                    "en": "Write first and last address of one table, such as 40101-40110 or FC04/0-FC04/9.",
                },
            )
        regions.append((ends[0].function_code, ends[0].offset, ends[-1].offset))
    return tuple(sorted(regions))


def locate(point: Point, unit_id: int) -> Span:
    """What must be read for a point; ``unit_id`` stands where the point names none.

    Raises:
        PointError: address, type, bit, order, length or unit identifier do not go together.
    """
    check_type(point)
    place = parse_address(point.address)
    _check_bit(point, place)
    unit = unit_id if point.unit_id is None else point.unit_id
    if not 0 <= unit <= 255:
        raise PointError(
            "unit_id",
            {"zh": f"站号 {unit} 超出范围。", "en": f"The unit identifier {unit} is out of range."},
            {"zh": "请写 0 到 255。", "en": "Write 0 to 255."},
        )
    span = Span(unit, place.function_code, place.offset, _width(point))
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


def check_type(point: Point) -> None:
    """Do type, length and order go together, whatever the address is?

    Raises:
        PointError: they do not.
    """
    _width(point)
    order_of(point)


def order_of(point: Point) -> str:
    """One of ``ORDERS``, whichever way it was written.

    Raises:
        PointError: it is none, or the type does not know it.
    """
    wide = REGISTERS_OF_TYPE.get(point.type) == 4
    allowed = ("ABCD", "BADC") if point.type == "string" else (*ORDERS, *(LONG_ORDERS if wide else ()))
    if point.order not in allowed:
        raise PointError(
            "order",
            {
                "zh": f"{point.type} 没有字节序“{point.order}”。",
                "en": f'A {point.type} has no order "{point.order}".',
            },
            {"zh": f"请从中选一个：{'、'.join(allowed)}。", "en": f"Choose one of {', '.join(allowed)}."},
        )
    return LONG_ORDERS.get(point.order, point.order)


def _width(point: Point) -> int:
    """Registers (or bits of a bit table) of one value."""
    if point.type not in REGISTERS_OF_TYPE:
        known = ", ".join(REGISTERS_OF_TYPE)
        raise PointError(
            "type",
            {"zh": f"不认识数据类型“{point.type}”。", "en": f'The type "{point.type}" is not known.'},
            {"zh": f"请从中选一个：{known}。", "en": f"Choose one of {known}."},
        )
    if point.type != "string":
        if point.length is not None:
            raise PointError(
                "length",
                {"zh": f"数据类型 {point.type} 没有长度。", "en": f"The type {point.type} has no length."},
                {
                    "zh": "请把“长度”留空，或把数据类型改为 string。",
                    "en": "Leave length empty, or write the type string.",
                },
            )
        return REGISTERS_OF_TYPE[point.type]
    if point.length is None or not 1 <= point.length <= MAX_STRING_REGISTERS:
        raise PointError(
            "length",
            {"zh": "文本需要长度（寄存器个数）。", "en": "A string needs its length in registers."},
            {"zh": f"请写 1 到 {MAX_STRING_REGISTERS}。", "en": f"Write 1 to {MAX_STRING_REGISTERS}."},
        )
    return point.length


def _check_bit(point: Point, place: Place) -> None:
    """A coil is a bit by itself; a register holds 16 of them."""
    if place.function_code in BIT_TABLES:
        if point.type != "bit":
            raise PointError(
                "type",
                {
                    "zh": f"“{point.address}”是线圈或离散输入，只能是一位。",
                    "en": f'"{point.address}" is a coil or discrete input, one bit.',
                },
                {"zh": "数据类型请写 bit。", "en": "Write the type bit."},
            )
        if point.bit is not None:
            raise PointError(
                "bit",
                {
                    "zh": "线圈或离散输入本身就是一位，不用写第几位。",
                    "en": "A coil or discrete input has no bit number.",
                },
                {"zh": "请把“位”留空。", "en": "Leave bit empty."},
            )
        if point.order != ORDERS[0]:
            raise PointError(
                "order",
                {"zh": "线圈或离散输入没有字节序。", "en": "A coil or discrete input has no order of bytes."},
                {"zh": "请把“字节序”留空。", "en": "Leave order empty."},
            )
    elif point.type == "bit" and (point.bit is None or not 0 <= point.bit < BITS_PER_REGISTER):
        raise PointError(
            "bit",
            {"zh": "没有写是寄存器的第几位（0–15）。", "en": "A bit of a register needs its number."},
            {"zh": "请写 0（最低位）到 15。", "en": "Write 0 (lowest) to 15."},
        )
    elif point.type != "bit" and point.bit is not None:
        raise PointError(
            "bit",
            {
                "zh": f"数据类型 {point.type} 没有“第几位”。",
                "en": f"The type {point.type} has no bit number.",
            },
            {"zh": "请把“位”留空，或把数据类型改为 bit。", "en": "Leave bit empty, or write the type bit."},
        )
