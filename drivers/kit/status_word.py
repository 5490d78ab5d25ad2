"""Decides what a status register's bits and a point's fault values say, as the point table spells them. Pure.

Severity: over_range and under_range leave a value that may raise an alarm and never clears one (uncertain);
every other cause leaves no value (bad).
"""

from __future__ import annotations

import re
import unicodedata
from fractions import Fraction
from typing import Final, NamedTuple, Never

from drivers.kit.errors import PointError
from drivers.kit.quality import Cause, Status, bad, quality

CAUSE_WORDS: Final = {
    **{
        cause.word: cause
        for cause in (
            Cause.DEVICE_FAULT,
            Cause.DISABLED,
            Cause.MAINTENANCE,
            Cause.CALIBRATION,
            Cause.SIMULATION,
            Cause.WARM_UP,
            Cause.MUTED,
            Cause.MANUAL,
            Cause.OVER_RANGE,
            Cause.UNDER_RANGE,
        )
    },
    "故障": Cause.DEVICE_FAULT,
    "停用": Cause.DISABLED,
    "禁用": Cause.DISABLED,
    "维护": Cause.MAINTENANCE,
    "检修": Cause.MAINTENANCE,
    "标定": Cause.CALIBRATION,
    "校准": Cause.CALIBRATION,
    "仿真": Cause.SIMULATION,
    "预热": Cause.WARM_UP,
    "静音": Cause.MUTED,
    "手动": Cause.MANUAL,
    "超量程": Cause.OVER_RANGE,
    "超上限": Cause.OVER_RANGE,
    "低于量程": Cause.UNDER_RANGE,
    "超下限": Cause.UNDER_RANGE,
}
"""What an instrument may say of itself, in both languages."""
_BARE_WORDS: Final = {word.replace("_", ""): cause for word, cause in CAUSE_WORDS.items()}
STATUS_WORD_BITS: Final = 32
MAX_ENTRIES: Final = 64
"""Most entries of one cell."""

_KEPT: Final = frozenset({Cause.OVER_RANGE, Cause.UNDER_RANGE})
_SEPARATORS: Final = re.compile(r"[;,、\n]")
_FAULT: Final = re.compile(
    r"(?:0x(?P<pattern>[0-9a-f]{1,16})|(?P<number>[+-]?\d{1,20}(?:\.\d{1,20})?))(?:=(?P<cause>.+))?"
)
_BITS: Final = re.compile(
    r"(?P<not>!)?(?P<low>\d{1,2})(?:-(?P<high>\d{1,2}):(?P<value>0x[0-9a-f]{1,8}|\d{1,10}))?=(?P<cause>.+)"
)
_DASHES: Final = str.maketrans(dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2212~", "-"))


class FaultValue(NamedTuple):
    """A raw value that is no measurement: its bits, or its number before scaling (one of the two is None)."""

    text: str
    pattern: int | None
    number: Fraction | None
    cause: Cause


class StatusBits(NamedTuple):
    """A cause that holds while ``word >> shift & mask == expected``."""

    shift: int
    mask: int
    expected: int
    cause: Cause


def severity(cause: Cause) -> int:
    """Quality byte of a value its instrument says this of."""
    return quality(Status.UNCERTAIN, cause) if cause in _KEPT else bad(cause)


def parse_fault_values(text: str) -> tuple[FaultValue, ...]:
    """Read ``32768; 0xFFFF=over_range; -9999``: decimal numbers are raw numbers, 0x… are bits, no word is 故障.

    Raises:
        PointError: an entry is none; its field is ``fault_values``.
    """
    found = []
    for entry in _entries(text, "fault_values"):
        match = _FAULT.fullmatch(entry)
        if match is None:
            _refuse_fault(entry)
        cause = _cause(match["cause"], entry, "fault_values") if match["cause"] else Cause.DEVICE_FAULT
        pattern = int(match["pattern"], 16) if match["pattern"] else None
        number = Fraction(match["number"]) if match["number"] else None
        found.append(FaultValue(entry, pattern, number, cause))
    return tuple(found)


def parse_status_bits(text: str, width: int = STATUS_WORD_BITS) -> tuple[StatusBits, ...]:
    """Read ``3=maintenance; !7=device_fault; 8-11:5=calibration``: bit 3 set; bit 7 clear; bits 8 to 11 hold 5.

    Args:
        text: entries; bit 0 is the lowest of the word.
        width: bits of the status word.

    Raises:
        PointError: an entry is none; its field is ``status_bits``.
    """
    found = []
    for entry in _entries(text, "status_bits"):
        match = _BITS.fullmatch(entry)
        if match is None or (match["not"] and match["high"]):
            _refuse_bits(entry)
        low, high = int(match["low"]), int(match["high"] or match["low"])
        expected = _whole(match["value"]) if match["value"] else 0 if match["not"] else 1
        mask = (1 << max(0, high - low + 1)) - 1
        if high >= width:
            _refuse_high(entry, high)
        if not low <= high or expected > mask:
            _refuse_bits(entry)
        found.append(StatusBits(low, mask, expected, _cause(match["cause"], entry, "status_bits")))
    return tuple(found)


def _entries(text: str, field: str) -> list[str]:
    """The parts of a cell without spaces, full-width characters made plain."""
    plain = unicodedata.normalize("NFKC", text).translate(_DASHES).lower()
    entries = ["".join(part.split()) for part in _SEPARATORS.split(plain)]
    entries = [entry for entry in entries if entry]
    if len(entries) > MAX_ENTRIES:
        raise PointError(
            field,
            {"zh": f"共 {len(entries)} 项，太多了。", "en": f"{len(entries)} entries are too many."},
            {"zh": f"最多 {MAX_ENTRIES} 项。", "en": f"Write at most {MAX_ENTRIES}."},
        )
    return entries


def _whole(text: str) -> int:
    """A decimal number, noughts before it or not, or a hexadecimal one with 0x."""
    return int(text, 16 if text.startswith("0x") else 10)


def _cause(word: str, entry: str, field: str) -> Cause:
    cause = _BARE_WORDS.get(word.replace("-", "").replace("_", ""))
    if cause is None:
        raise PointError(
            field,
            {"zh": f"“{entry}”：不认识“{word}”。", "en": f'"{entry}": the cause "{word}" is not known.'},
            {
                "zh": "请从中选一个：故障、停用、维护、标定、仿真、预热、静音、手动、超量程、低于量程。",
                "en": f"Choose one of {', '.join(word for word in CAUSE_WORDS if word.isascii())}.",
            },
        )
    return cause


def _refuse_fault(entry: str) -> Never:
    raise PointError(
        "fault_values",
        {"zh": f"“{entry}”不是故障值。", "en": f'"{entry}" is not a fault value.'},
        {
            "zh": "请写原始数或 0x 开头的位模式，需要时加原因，如 32768; 0xFFFF=超量程; -9999。"
            "NaN 和无穷大总是故障，不用写。",
            "en": "Write raw numbers or bit patterns with 0x, with a cause where needed: "
            "32768; 0xFFFF=over_range; -9999. NaN and infinity are always faults.",
        },
    )


def _refuse_high(entry: str, high: int) -> Never:
    raise PointError(
        "status_bits",
        {
            "zh": f"“{entry}”：状态字没有第 {high} 位。",
            "en": f'"{entry}": the status word has no bit {high}.',
        },
        {
            "zh": "16 位状态字写 0 到 15，32 位的写 0 到 31；最低位是第 0 位。",
            "en": "A word of 16 bits has 0 to 15, one of 32 bits 0 to 31; bit 0 is the lowest.",
        },
    )


def _refuse_bits(entry: str) -> Never:
    raise PointError(
        "status_bits",
        {"zh": f"“{entry}”不是状态位的一项。", "en": f'"{entry}" is no entry of status bits.'},
        {
            "zh": "请写 3=维护（第 3 位为 1）、!7=故障（第 7 位为 0）或 8-11:5=标定（第 8 到 11 位的值为 5），"
            "最低位是第 0 位。",
            "en": "Write 3=maintenance (bit 3 set), !7=device_fault (bit 7 clear) or 8-11:5=calibration "
            "(bits 8 to 11 hold 5); bit 0 is the lowest.",
        },
    )
