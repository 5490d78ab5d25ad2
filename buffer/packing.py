"""How a body lies on the disk: compressed one way, read back the same. Touches no file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import zstandard

ZSTD_LEVEL: Final = 3


@dataclass(frozen=True, slots=True)
class Packing:
    """A pair of functions; storage only, the leaf is over the canonical bytes.

    Attributes:
        pack: canonical bytes to stored bytes.
        unpack: stored bytes and canonical length to canonical bytes; raises ValueError on damage.
    """

    pack: Callable[[bytes], bytes]
    unpack: Callable[[bytes, int], bytes]


def zstd() -> Packing:
    """Zstandard, level 3. One pair serves one thread: the contexts inside are not shared."""
    pack = zstandard.ZstdCompressor(level=ZSTD_LEVEL, write_checksum=False).compress
    decompress = zstandard.ZstdDecompressor().decompress

    def unpack(stored: bytes, size: int) -> bytes:
        try:
            body = decompress(stored, max_output_size=max(size, 1))
        except zstandard.ZstdError as e:
            raise ValueError(f"the stored bytes are damaged: {e}") from e
        if len(body) != size:
            raise ValueError(f"the stored bytes give {len(body)} bytes, {size} were recorded")
        return body

    return Packing(pack, unpack)
