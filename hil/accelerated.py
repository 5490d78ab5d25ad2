"""A process whose clocks run faster: libfaketime before the real program. Decides its environment, starts nothing.

Wall clock and monotonic clock run ``rate`` times as fast, and so do the time-outs of epoll, poll and sleeps: an
asyncio program lives an hour in an hour divided by the rate. What waits on a lock of a thread with a time-out does
not (glibc's clock variants go past the library), nor do timers of the kernel: TCP repeats a lost packet in real time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hil.processes import ToolMissingError

LIBRARY: Final = "libfaketime.so.1"
FOLDERS: Final = ("/usr/lib", "/usr/local/lib")


def library() -> Path:
    """The installed libfaketime.

    Raises:
        ToolMissingError: it is not installed.
    """
    for folder in FOLDERS:
        for found in sorted(Path(folder).glob(f"*/faketime/{LIBRARY}")):
            return found
    raise ToolMissingError(LIBRARY, "faketime")


def environment(rate: float) -> dict[str, str]:
    """Variables that make a program live ``rate`` seconds in one.

    Raises:
        ToolMissingError: libfaketime is not installed.
    """
    return {"LD_PRELOAD": str(library()), "FAKETIME": f"+0 x{rate:g}", "FAKETIME_DONT_RESET": "1"}
