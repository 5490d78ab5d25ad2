"""Decides whether bytes are one whole JPEG. Pure; looks at the frame of the file, not at the picture.

Source: ITU-T T.81, annex B: a stream of marker segments from SOI to EOI, entropy-coded data behind each scan's
header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

SOI: Final = 0xD8
EOI: Final = 0xD9
SOS: Final = 0xDA
ENTROPY: Final = 0
"""Stands where a segment is no segment but the entropy-coded data of the scan before it."""
FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three left out are tables and an extension."""
_ALONE: Final = frozenset((0x01, *range(0xD0, 0xD8)))
"""Markers without a length that have no business between segments."""
_FILL: Final = 0xFF
_PADDING: Final = b"\x00\r\n"
"""What some cameras and servers leave behind the end."""
_MARKER: Final = re.compile(rb"\xff+([^\x00\xff])")


class JpegError(ValueError):
    """Not one whole JPEG; says what is missing."""


class Segment(NamedTuple):
    """One segment: ``data[start:end]`` is what it holds, without marker and length."""

    marker: int
    start: int
    end: int


def check_whole(data: bytes) -> None:
    """From the first marker to the last nothing is missing, restart markers are in order, nothing follows.

    Raises:
        JpegError: it is something else, torn or damaged.
    """
    framed = scanned = False
    for segment in segments(data):
        framed = framed or segment.marker in FRAMES
        if segment.marker == SOS and not framed:
            raise JpegError("the JPEG holds no picture")
        if segment.marker == ENTROPY:
            scanned = scanned or segment.end > segment.start
    if not scanned:
        raise JpegError("the JPEG holds no picture")


def segments(data: bytes) -> Iterator[Segment]:
    """Every segment between SOI and EOI, and behind each SOS its data as ``ENTROPY``.

    Raises:
        JpegError: as ``check_whole``, as far as the frame shows it.
    """
    if not data.startswith(bytes((_FILL, SOI))):
        raise JpegError(f"{len(data)} bytes came that are not a JPEG")
    at = 2
    while at + 2 <= len(data):
        if data[at] != _FILL:
            raise JpegError(f"the JPEG is damaged at byte {at}")
        marker = data[at + 1]
        if marker == _FILL:  # any number of fill bytes may stand before a marker
            at += 1
            continue
        if marker == EOI:
            _nothing_follows(data, at + 2)
            return
        start, end = at + 4, at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _ALONE or marker in (ENTROPY, SOI) or end < start:
            raise JpegError(f"the JPEG is damaged at byte {at}")
        if end > len(data):
            break
        yield Segment(marker, start, end)
        at = end
        if marker == SOS:
            at = _end_of_scan(data, end)
            yield Segment(ENTROPY, end, at)
    raise JpegError(f"the JPEG is torn: no end after {len(data)} bytes")


def _end_of_scan(data: bytes, start: int) -> int:
    """Where the marker behind the entropy-coded data begins; restart markers count 0 to 7 (B.1.1.3, E.1.4)."""
    for restarts, found in enumerate(_MARKER.finditer(data, start)):
        marker = found[1][0]
        if marker not in _ALONE:
            return found.start()
        if marker != 0xD0 + restarts % 8:
            raise JpegError(f"the JPEG is damaged at byte {found.start()}: a piece of the picture is missing")
    raise JpegError(f"the JPEG is torn: no end after {len(data)} bytes")


def _nothing_follows(data: bytes, at: int) -> None:
    if data[at:].strip(_PADDING):
        raise JpegError(f"{len(data) - at} bytes follow the JPEG's end")
