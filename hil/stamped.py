"""Reads lines from a pipe and writes each with the time at which it came: ``python -m hil.stamped PIPE FILE``.

A process of its own, so that nobody else's work delays the stamp. It ends when it is killed.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from typing import Final

CHUNK_BYTES: Final = 1 << 16


def main(pipe: Path, stamped: Path) -> None:
    """Stamp for ever."""
    # Open for writing too: it never ends, and whoever writes never waits for a reader.
    source = os.open(pipe, os.O_RDWR)
    rest = b""
    with stamped.open("ab", buffering=0) as target:
        while chunk := os.read(source, CHUNK_BYTES):
            now_ns = time.time_ns()
            *lines, rest = (rest + chunk).split(b"\n")
            target.write(b"".join(b"%d %s\n" % (now_ns, line) for line in lines))


def stamps(stamped: Path) -> list[tuple[int, bytes]]:
    """What was stamped so far: (UTC nanoseconds, line), in the order of coming."""
    if not stamped.exists():
        return []
    # What stands behind the last line break is still being written.
    lines = stamped.read_bytes().split(b"\n")[:-1]
    return [(int(stamp), line) for stamp, _, line in (one.partition(b" ") for one in lines)]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
