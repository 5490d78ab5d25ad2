"""The machine's clocks, asked in one place. Touches the kernel; what a step or a state means is ``instant.py``."""

from __future__ import annotations

import ctypes
import time
from pathlib import Path
from typing import Final

from gateway.instant import UNSYNCHRONISED, ClockState, Now

EARLIEST_TRUSTED_NS: Final = 1_767_225_600 * 10**9
"""2026-01-01: a box whose clock says an earlier date has never been set."""

_STA_UNSYNC: Final = 0x0040
_TIME_ERROR: Final = 5


TIMESYNC_MARK: Final = Path("/run/systemd/timesync/synchronized")
"""systemd-timesyncd touches it at each synchronisation (systemd-timesyncd.service(8))."""

MARK_FRESH_NS: Final = 2 * 2048 * 10**9
"""timesyncd asks at least every 2048 s; a mark older than two of these is a server that no longer answers."""

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The kernel's name for this run of the machine; another one means that the machine was down in between."""
    return BOOT_ID.read_text(encoding="ascii").strip()


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


class SystemClock:
    """Reads the machine's clocks; asks the kernel about synchronisation at most once in ``REFRESH_NS``."""

    REFRESH_NS: Final = 5_000_000_000

    def __init__(self, mark: Path = TIMESYNC_MARK) -> None:
        self._mark = mark
        self._adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
        self._state = UNSYNCHRONISED
        self._asked_ns = -self.REFRESH_NS
        self._ever_synchronised = False

    def now(self) -> Now:
        """This instant."""
        mono_ns = time.monotonic_ns()
        utc_ns = time.time_ns()
        if mono_ns - self._asked_ns >= self.REFRESH_NS:
            self._asked_ns = mono_ns
            self._state = self._ask(utc_ns)
        return Now(mono_ns, utc_ns, self._state)

    def _ask(self, utc_ns: int) -> ClockState:
        timex = _Timex()
        verdict = self._adjtimex(ctypes.byref(timex))
        if utc_ns < EARLIEST_TRUSTED_NS:
            return UNSYNCHRONISED
        if verdict < 0:
            # The hardened unit may not even ask the kernel (ProtectClock=); timesyncd leaves a mark instead.
            synchronised, error_ms = self._marked(utc_ns), None
        else:
            synchronised = verdict != _TIME_ERROR and not timex.status & _STA_UNSYNC
            error_ms = timex.maxerror / 1000
        self._ever_synchronised |= synchronised
        if synchronised:
            return ClockState("synchronised", error_ms)
        return ClockState("holdover", error_ms) if self._ever_synchronised else UNSYNCHRONISED

    def _marked(self, utc_ns: int) -> bool:
        try:
            touched_ns = self._mark.stat().st_mtime_ns
        except OSError:
            return False
        self._ever_synchronised = True
        return abs(utc_ns - touched_ns) < MARK_FRESH_NS
