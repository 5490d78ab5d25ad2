"""Decides whether bytes are one whole JPEG. Pure; looks at the frame of the file, not at the picture.

Source: ITU-T T.81, annex B: a stream of marker segments from SOI to EOI.
"""

from __future__ import annotations

from typing import Final

_SOI: Final = b"\xff\xd8"
_EOI: Final = b"\xff\xd9"
_SOS: Final = 0xDA
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""Start-of-frame markers; the three left out are tables and an extension."""
_FILL: Final = 0xFF


class JpegError(ValueError):
    """Not one whole JPEG; says what is missing."""


def check_whole(data: bytes) -> None:
    """Walk the segments up to the picture data, and see that the end is there.

    Raises:
        JpegError: it is something else, or torn.
    """
    if not data.startswith(_SOI):
        raise JpegError(f"{len(data)} bytes came that are not a JPEG")
    if not data.endswith(_EOI):
        raise JpegError(f"the JPEG is torn: no end after {len(data)} bytes")
    at, framed = len(_SOI), False
    while at + 4 <= len(data):
        if data[at] != _FILL:
            raise JpegError(f"the JPEG is damaged at byte {at}")
        marker = data[at + 1]
        if marker == _FILL:  # any number of fill bytes may stand before a marker
            at += 1
            continue
        if marker == _SOS:
            if not framed:
                break
            return
        framed = framed or marker in _FRAMES
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    raise JpegError("the JPEG holds no picture")
