"""The kernel's word on this machine's clock (adjtimex(2)), and timesyncd's mark. Asks; sets nothing, judges nothing.

What it means is ``drivers.kit.box``. The hardened unit may not even ask (``ProtectClock=``); there the mark is all.
"""

from __future__ import annotations

import ctypes
from pathlib import Path
from typing import Final

from drivers.kit.box import Sync

TIMESYNC_MARK: Final = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it at each synchronisation (systemd-timesyncd.service(8))."""


class _Timex(ctypes.Structure):
    """struct timex, see adjtimex(2)."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


_adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex


def sync() -> Sync | None:
    """How the kernel's clock is; None where it may not be asked. ``modes`` stays 0, which changes nothing."""
    timex = _Timex()
    verdict = _adjtimex(ctypes.byref(timex))
    return None if verdict < 0 else Sync(verdict, timex.status, timex.offset, timex.maxerror)


def mark_ns(mark: Path = TIMESYNC_MARK) -> int | None:
    """UTC at which timesyncd last synchronised; None: never, or there is no timesyncd."""
    try:
        return mark.stat().st_mtime_ns
    except OSError:
        return None
