"""The machine's clocks, asked in one place. Touches the kernel; what a step or a state means is ``instant.py``."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drivers.kit.box import EARLIEST_TRUSTED_NS, Sync, clock_is_set
from drivers.wire import kernel_clock
from gateway.instant import UNSYNCHRONISED, ClockState, Now

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def boot_id() -> str:
    """The kernel's name for this run of the machine; another one means that the machine was down in between."""
    return BOOT_ID.read_text(encoding="ascii").strip()


class SystemClock:
    """Reads the machine's clocks; asks the kernel about synchronisation at most once in ``REFRESH_NS``.

    Args:
        mark: timesyncd's; it tells where the kernel may not be asked.
        ask: how the kernel's clock is; None where it may not be asked.
    """

    REFRESH_NS: Final = 5_000_000_000

    def __init__(
        self, mark: Path = kernel_clock.TIMESYNC_MARK, ask: Callable[[], Sync | None] = kernel_clock.sync
    ) -> None:
        self._mark = mark
        self._ask_kernel = ask
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
        if utc_ns < EARLIEST_TRUSTED_NS:
            return UNSYNCHRONISED
        sync = self._ask_kernel()
        # The hardened unit may not even ask the kernel (ProtectClock=); timesyncd leaves a mark instead.
        mark_ns = kernel_clock.mark_ns(self._mark) if sync is None else None
        synchronised = bool(clock_is_set(sync, utc_ns, mark_ns))
        self._ever_synchronised |= synchronised or mark_ns is not None
        error_ms = None if sync is None else sync.maxerror_us / 1000
        if synchronised:
            return ClockState("synchronised", error_ms)
        return ClockState("holdover", error_ms) if self._ever_synchronised else UNSYNCHRONISED
