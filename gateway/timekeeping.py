"""When the clock is so bad that people must know. Pure: judges what a clock says of itself."""

from __future__ import annotations

from typing import Final

from gateway.instant import ClockState, Now

UNSYNCHRONISED_S: Final = 600.0
"""A clock that was never set since the start may take so long to find a time server."""

HOLDOVER_S: Final = 86_400.0
"""A clock that lost its time server may run on its own for so long where nobody knows its error."""

HOLDOVER_ERROR_MS: Final = 1_000.0
"""A clock that lost its time server and may be so wrong orders nothing any more."""


class Timekeeping:
    """Watches how long a clock has been in its state.

    Args:
        now: the start.
    """

    def __init__(self, now: Now) -> None:
        self._state = now.clock.state
        self._since_ns = now.mono_ns

    def failure(self, now: Now) -> str:
        """What is wrong with the clock, "" if nothing."""
        if now.clock.state != self._state:
            self._state, self._since_ns = now.clock.state, now.mono_ns
        return _failure(now.clock, (now.mono_ns - self._since_ns) / 1e9)


def _failure(clock: ClockState, for_s: float) -> str:
    if clock.state == "unsynchronised" and for_s >= UNSYNCHRONISED_S:
        return "the clock is not synchronised: no time server"
    if clock.state == "holdover" and clock.error_ms is not None and clock.error_ms >= HOLDOVER_ERROR_MS:
        return f"no time server, the clock may be wrong by {HOLDOVER_ERROR_MS / 1000:g} s or more"
    if clock.state == "holdover" and clock.error_ms is None and for_s >= HOLDOVER_S:
        return f"no time server for {HOLDOVER_S / 3600:g} h"
    return ""
