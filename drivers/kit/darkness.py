"""Decides whether a JPEG shows black: the mean brightness of its luma blocks, read from the file. Pure.

Only the first scan of a baseline JPEG (the kind cameras send) is walked, only its DC coefficients are kept, and only
until enough is bright. What it cannot judge (progressive, arithmetic, 12 bits, damaged) it says so.

Source: ITU-T T.81: B.2 (segments), F.2 (sequential decoding), A.3.3 (the DC coefficient is eight times the block's
mean minus 128, before quantisation).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Final, NamedTuple

import numpy as np

from drivers.kit.jpeg import ENTROPY, SOS, JpegError, segments

BLACK_LUMA: Final = 36.0
"""A block darker than this is black, on 0 to 255: a dark sensor's noise and a video black of 16 lie below."""
BLACK_SHARE: Final = 0.95
"""Share of black blocks from which the picture is black: the camera's own text may stay bright."""
DETAIL_BYTES: Final = 16.0
"""With more bytes than this per luma block there is so much to see that the picture is not walked."""
MAX_ENTROPY_BYTES: Final = 1 << 20
"""The same for the whole picture: it bounds the time that is spent on it."""
MAX_BLOCKS: Final = 3 << 17
"""Blocks of a 4096 × 4096 picture as cameras send it (4:2:0), those of its colours among them: each costs time."""
MAX_UNIT_BLOCKS: Final = 10
"""Blocks of one unit (B.2.3)."""

_BASELINE: Final = (0xC0, 0xC1)
_HUFFMAN, _QUANTISATION, _RESTART = 0xC4, 0xDB, 0xDD
_RESTART_MARKER: Final = re.compile(rb"\xff[\xd0-\xd7]")
_BAD: Final = 0
"""Entry of a code that the table does not have."""


class _Component(NamedTuple):
    across: int
    down: int
    quantisation: int


@dataclass(slots=True)
class _Frame:
    height: int
    width: int
    components: dict[int, _Component]

    @property
    def mcus(self) -> int:
        """Minimum coded units of an interleaved scan (A.2.3)."""
        across = max(one.across for one in self.components.values())
        down = max(one.down for one in self.components.values())
        return -(-self.width // (8 * across)) * -(-self.height // (8 * down))


class _Part(NamedTuple):
    """What one component brings to each unit."""

    blocks: int
    dc: Sequence[int]
    ac: Sequence[int]


def is_black(jpeg: bytes) -> bool | None:
    """Whether at least ``BLACK_SHARE`` of the picture is darker than ``BLACK_LUMA``.

    Args:
        jpeg: a whole JPEG.

    Returns:
        None where it cannot be told.
    """
    try:
        return _judge(jpeg)
    except (JpegError, IndexError, KeyError, ValueError, ZeroDivisionError):
        return None  # not a kind that is walked here, or damaged inside


def _judge(jpeg: bytes) -> bool | None:
    frame: _Frame | None = None
    huffman: dict[int, bytes] = {}
    steps: dict[int, int] = {}
    interval, scan = 0, b""
    for marker, start, end in segments(jpeg):
        held = jpeg[start:end]
        if marker in _BASELINE:
            frame = _frame(held)
        elif marker == _HUFFMAN:
            huffman.update(_huffman(held))
        elif marker == _QUANTISATION:
            steps.update(_steps(held))
        elif marker == _RESTART:
            interval = int.from_bytes(held[:2], "big")
        elif marker == SOS:
            scan = held
        elif marker == ENTROPY:
            return _walk(frame, scan, huffman, steps, interval, jpeg[start:end]) if frame else None
    return None


def _frame(held: bytes) -> _Frame | None:
    if held[0] != 8 or held[5] not in (1, 3):  # grey, or brightness and two colours
        return None
    parts = [held[at : at + 3] for at in range(6, 6 + 3 * held[5], 3)]
    components = {one[0]: _Component(one[1] >> 4, one[1] & 15, one[2]) for one in parts}
    if len(parts) == 1:  # a scan of one component has units of one block, whatever it says (A.2.2)
        components = {name: _Component(1, 1, one.quantisation) for name, one in components.items()}
    return _Frame(int.from_bytes(held[1:3], "big"), int.from_bytes(held[3:5], "big"), components)


def _huffman(held: bytes) -> dict[int, bytes]:
    """Class and number of each table -> its counts and symbols (B.2.4.2)."""
    found, at = {}, 0
    while at < len(held):
        end = at + 17 + sum(held[at + 1 : at + 17])
        found[held[at]] = held[at + 1 : end]
        at = end
    return found


def _steps(held: bytes) -> dict[int, int]:
    """Number of each quantisation table -> its first, the DC step (B.2.4.1)."""
    found, at = {}, 0
    while at < len(held):
        width = 2 if held[at] >> 4 else 1
        found[held[at] & 15] = int.from_bytes(held[at + 1 : at + 1 + width], "big")
        at += 1 + 64 * width
    return found


@lru_cache(maxsize=16)
def _codes(table: bytes, *, of_dc: bool) -> Sequence[int]:
    """The next 16 bits -> what they begin with.

    Returns:
        65,536 entries: bits to skip << 8 | what it stands for; of DC the skip is the code alone and the rest the
        category, of AC the skip includes the value and the rest is how many coefficients further.
    """
    entries: list[int] = []
    at = 16
    for length in range(1, 17):
        for symbol in table[at : at + table[length - 1]]:
            size = symbol & 15
            if of_dc:
                entry = length << 8 | symbol
            elif size == 0 and symbol != 0xF0:  # end of block
                entry = length << 8 | 64
            else:
                entry = length + size << 8 | (symbol >> 4) + 1
            entries += [entry] * (1 << 16 - length)
        at += table[length - 1]
    return entries + [_BAD] * ((1 << 16) - len(entries))


def _walk(
    frame: _Frame,
    scan: bytes,
    huffman: Mapping[int, bytes],
    steps: Mapping[int, int],
    interval: int,
    entropy: bytes,
) -> bool | None:
    names = [scan[at] for at in range(1, 1 + 2 * scan[0], 2)]
    if sorted(names) != sorted(frame.components):
        return None  # not interleaved: seen nowhere
    first = frame.components[names[0]]
    blocks = frame.mcus * first.across * first.down
    unit = sum(one.across * one.down for one in frame.components.values())
    if blocks == 0 or unit > MAX_UNIT_BLOCKS or frame.mcus * unit > MAX_BLOCKS:
        return None
    if len(entropy) > min(DETAIL_BYTES * blocks, MAX_ENTROPY_BYTES):
        return False
    parts = []
    for name, chosen in zip(names, scan[2 : 2 + 2 * len(names) : 2], strict=True):
        component = frame.components[name]
        dc = _codes(huffman[chosen >> 4], of_dc=True)
        ac = _codes(huffman[0x10 | chosen & 15], of_dc=False)
        parts.append(_Part(component.across * component.down, dc, ac))
    darkest = (BLACK_LUMA - 128) * 8 / steps[first.quantisation]
    may_be_bright = int(blocks * (1 - BLACK_SHARE))
    cuts = [0, *(found.end() for found in _RESTART_MARKER.finditer(entropy)), len(entropy) + 2]
    left = frame.mcus
    for start, end in pairwise(cuts):
        units = min(interval, left) if interval else left
        may_be_bright -= _bright(entropy[start : end - 2], units, parts, darkest, may_be_bright)
        if may_be_bright < 0:
            return False
        left -= units
    return True if left == 0 else None


def _bright(piece: bytes, units: int, parts: Sequence[_Part], darkest: float, enough: int) -> int:
    """Luma blocks of one restart interval that are not black; stops when they are more than ``enough``.

    Raises:
        ValueError: a code that no table has.
        IndexError: the data end too early.
    """
    octets = np.frombuffer(piece.replace(b"\xff\x00", b"\xff") + b"\x00\x00", np.uint8).astype(np.uint32)
    # at every byte the 24 bits from there on, so that any 16 bits are one shift away
    window = (octets[:-2] << 16 | octets[1:-1] << 8 | octets[2:]).tolist()
    at = bright = 0
    levels = [0] * len(parts)
    for _ in range(units):
        for number, (blocks, dc, ac) in enumerate(parts):
            for _ in range(blocks):
                entry = dc[window[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                if entry == _BAD:
                    raise ValueError
                at += entry >> 8
                if size := entry & 0xFF:
                    value = (window[at >> 3] >> 8 - (at & 7) & 0xFFFF) >> 16 - size
                    levels[number] += value if value >> size - 1 else value - (1 << size) + 1
                    at += size
                k = 1
                while k < 64:
                    entry = ac[window[at >> 3] >> 8 - (at & 7) & 0xFFFF]
                    if entry == _BAD:
                        raise ValueError
                    at += entry >> 8
                    k += entry & 0xFF
                if number == 0 and levels[0] >= darkest:
                    bright += 1
                    if bright > enough:
                        return bright
    return bright
