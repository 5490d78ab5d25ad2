"""One instant and how far its stamp may be trusted. Pure: reads no clock, only carries what one said."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Literal

STEP_NS: Final = 500_000_000
"""Wall clock and monotonic clock may drift apart by less than this between two looks; more is a step."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class ClockState:
    """Whether the stamps of a record may be trusted.

    Attributes:
        state: ``synchronised``, ``holdover`` (was synchronised, drifts since) or ``unsynchronised``.
        error_ms: estimated error, None where nobody can know.
    """

    state: Literal["synchronised", "holdover", "unsynchronised"]
    error_ms: float | None = None

    def item(self) -> dict[str, Any]:
        """As it stands in records and messages."""
        return {"state": self.state, "error_ms": self.error_ms}


UNSYNCHRONISED: Final = ClockState("unsynchronised")


@dataclass(frozen=True, slots=True)
class Now:
    """One instant on both clocks: intervals come from ``mono_ns``, stamps from ``utc_ns``."""

    mono_ns: int
    utc_ns: int
    clock: ClockState = UNSYNCHRONISED


def step_between_ns(before: Now, after: Now) -> int:
    """Nanoseconds by which the wall clock was set between two looks; 0 where it only ran."""
    jump_ns = (after.utc_ns - before.utc_ns) - (after.mono_ns - before.mono_ns)
    return jump_ns if abs(jump_ns) >= STEP_NS else 0


def rfc3339(utc_ns: int) -> str:
    """RFC 3339 in UTC with milliseconds, cut and not rounded, e.g. ``2026-11-22T03:31:00.123Z``."""
    moment = _EPOCH + timedelta(microseconds=utc_ns // 1000)
    return moment.isoformat(timespec="milliseconds") + "Z"
