"""What every driver module offers and what a running source promises. Decides names only, touches nothing.

A driver is the module ``drivers.<name>``; the name in gateway.toml finds it, no table lists it.

The module offers
    Options        a frozen dataclass: the keys of the device's table in gateway.toml beyond the common ones
    check_point    (point, options) -> None, raises PointError: may this point stand in the point table?
    check_device   (points, options) -> list[PointError], each with its ``point``: do they go together? Not every
                   driver has one
    connect        (device, options, post) -> Source; opens nothing yet. Never asked for a device without points
    polled         (options) -> bool: every point is posted in every period, so that silence of the driver itself is
                   noticed; left out, it is not

A camera module offers ``Options`` and ``connect(name, options) -> Camera``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from drivers.kit.scan import Picture, Scan
from drivers.kit.shots import Shots

Post: TypeAlias = Callable[[Scan], None]
"""Takes a scan on the loop's thread; never blocks, never raises."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is, for ``status``.

    Attributes:
        connected: a session stands and its last answer was usable.
        since_ns: UTC nanoseconds of the last change of ``connected``.
        detail: one English sentence: endpoint, or the last failure.
        counters: whole numbers that only grow, e.g. ``answers``, ``misses``, ``reconnects``, ``overruns``.
        warning: what a person should change although it works (an insecure line, a certificate that ends soon), one
            English sentence; "" if nothing. It is an alarm for as long as it stands.
        load_percent: share of the time the line is busy with our questions (通信占用), None where nobody measures it.
    """

    connected: bool
    since_ns: int
    detail: str
    counters: dict[str, int]
    warning: str = ""
    load_percent: float | None = None


class Source(Protocol):
    """A device being read.

    Promises: ``run`` returns only by cancellation and stops within one second of it in any state, leaving
    no task, thread or socket; a silent device's points are posted bad with a cause at once (by a polling driver
    again in every period); a torn,
    foreign or random answer gives a cause and never a number; it recovers by itself, for ever;
    NaN never comes out good; no request that could write is ever sent.
    """

    async def run(self) -> None:
        """Read for ever and post scans."""
        ...

    async def read(self) -> Scan:
        """Read every point once, for ``plantgate read`` without a running gateway.

        Raises:
            SourceError: the device could not be reached at all.
        """
        ...

    def state(self) -> SourceState:
        """How the source is now."""
        ...


class Camera(Protocol):
    """A camera asked for pictures; when, is its caller's affair, and ``shots`` says what its user wants."""

    @property
    def shots(self) -> Shots:
        """When pictures are wanted."""
        ...

    @property
    def note(self) -> str:
        """What ``status`` says beside its being well: one English sentence, "" for nothing."""
        ...

    async def capture(self) -> Picture:
        """One picture, bounded in size and time.

        Raises:
            SourceError: no whole JPEG came.
        """
        ...
