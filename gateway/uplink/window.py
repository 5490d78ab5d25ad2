"""What is on its way to one recipient and when it goes out again. Pure: no clock, no line; seconds are monotonic.

What must hold:

1. Nothing is forgotten here before it was settled; the whole window is thrown away with its connection.
2. Within a stream messages go out again in their order, and new ones only behind those. A stream whose
   recipient may be absent sends one message until that one is settled, else what follows would overtake it.
3. Alarms have places of their own, and a silent recipient never keeps one alarm behind another.
4. Snapshots and backfill leave room for live readings.
5. A stream whose recipient may be absent, or that the broker refuses, takes no room from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias, get_args

from gateway.uplink.message import Message

Stream: TypeAlias = Literal["volatile", "alarm", "journal", "live", "snapshot", "backfill"]
STREAMS: Final[tuple[Stream, ...]] = get_args(Stream)
"""In the order in which they are served."""

ALARM_STREAMS: Final[frozenset[Stream]] = frozenset({"volatile", "alarm"})
BULK_STREAMS: Final[frozenset[Stream]] = frozenset({"snapshot", "backfill"})


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Bounds of what is in flight at once; one message is always allowed, however large.

    They hold for the streams that flow; what a stalled stream has in flight is bounded likewise, and beside it.

    Attributes:
        messages: all streams but alarms.
        alarm_messages: alarms, beside those.
        bytes: payload of all streams but alarms.
        bulk_bytes: snapshots and backfill among them: what an alarm may find before it on a slow line.
        receipt_timeout_s: silence after which a message goes out again.
        absent_retry_s: likewise where the broker said that nobody is there.
        refused_retry_s: likewise where the broker refused the stream: a matter for a person.
    """

    messages: int = 32
    alarm_messages: int = 16
    bytes: int = 2 << 20
    bulk_bytes: int = 256 << 10
    receipt_timeout_s: float = 10.0
    absent_retry_s: float = 2.0
    refused_retry_s: float = 300.0

    @property
    def bulk_messages(self) -> int:
        """Places that snapshots and backfill may take of ``messages``."""
        return max(1, self.messages * 3 // 4)


@dataclass(slots=True)
class Flight:
    """One message on its way.

    Attributes:
        handle: the line's name for its last publish, see ``Transport.publish``.
        deadline_s: when it goes out again.
    """

    message: Message
    stream: Stream
    created_ns: int
    handle: int
    deadline_s: float


@dataclass(slots=True)
class _Load:
    """How much of a bound is used."""

    messages: int = 0
    bytes: int = 0

    def add(self, message: Message, sign: int) -> None:
        self.messages += sign
        self.bytes += sign * len(message.payload)

    def fits(self, messages: int, size_bytes: int) -> bool:
        return self.messages == 0 or (self.messages < messages and self.bytes < size_bytes)


class Window:
    """The messages in flight on one connection."""

    def __init__(self, settings: WindowSettings) -> None:
        self._settings = settings
        self._flights: dict[str, Flight] = {}
        self._streams: dict[Stream, dict[str, Flight]] = {stream: {} for stream in STREAMS}
        self._probing: set[Stream] = set(STREAMS)
        self._alarms = _Load()
        self._rest = _Load()
        self._bulk = _Load()

    def __len__(self) -> int:
        return len(self._flights)

    def __iter__(self) -> Iterator[Flight]:
        return iter(self._flights.values())

    def __contains__(self, key: str) -> bool:
        return key in self._flights

    def has_room(self, stream: Stream) -> bool:
        """Whether a new message of this stream may go out now."""
        if stream in self._probing and self._streams[stream]:
            return False
        limits = self._settings
        if stream in ALARM_STREAMS:
            return self._alarms.fits(limits.alarm_messages, limits.bytes)
        if stream in BULK_STREAMS:
            return (
                self._bulk.fits(limits.bulk_messages, limits.bulk_bytes)
                and self._rest.messages < limits.messages
            )
        return self._rest.fits(limits.messages, limits.bytes)

    def sent(self, message: Message, stream: Stream, created_ns: int, handle: int, now_s: float) -> None:
        """A new message went out."""
        assert message.key not in self._flights, f"{message.key} is in flight already"
        flight = Flight(message, stream, created_ns, handle, now_s + self._settings.receipt_timeout_s)
        self._flights[message.key] = self._streams[stream][message.key] = flight
        if stream not in self._probing:
            self._count(flight, 1)

    def settled(self, key: str) -> Flight | None:
        """The recipient has spoken about this key; None where it is not in flight (a repeated receipt)."""
        flight = self._flights.pop(key, None)
        if flight is not None:
            del self._streams[flight.stream][key]
            if flight.stream not in self._probing:
                self._count(flight, -1)
            else:
                self._probing.discard(flight.stream)
                for other in self._streams[flight.stream].values():
                    self._count(other, 1)
        return flight

    def by_handle(self, handle: int) -> Flight | None:
        """The message whose last publish the line calls so."""
        return next((flight for flight in self._flights.values() if flight.handle == handle), None)

    def absent(self, key: str, now_s: float) -> None:
        """Nobody was there to take it: its stream waits until one message of it was taken."""
        flight = self._flights.get(key)
        if flight is not None:
            wait_s = min(self._settings.absent_retry_s, self._settings.receipt_timeout_s)
            self._suspect(flight.stream, now_s + wait_s)

    def refused(self, key: str, now_s: float) -> None:
        """The broker does not let this stream in: it stands still, and asks again slowly with one message."""
        flight = self._flights.get(key)
        if flight is not None:
            retry_s = now_s + self._settings.refused_retry_s
            self._suspect(flight.stream, retry_s)
            for other in self._streams[flight.stream].values():
                other.deadline_s = retry_s

    def due(self, now_s: float, most: int) -> list[Flight]:
        """What has to go out again now, in order, no more than ``most``; call before sending anything new."""
        again: list[Flight] = []
        for stream, flights in self._streams.items():
            if not flights:
                continue
            late = [flight for flight in self._candidates(stream) if flight.deadline_s <= now_s]
            if late and stream not in ALARM_STREAMS:
                self._suspect(stream, now_s)
                late = self._candidates(stream)
            again += late
        again = again[:most]
        for flight in again:
            flight.deadline_s = now_s + self._settings.receipt_timeout_s
        return again

    def next_deadline_s(self) -> float | None:
        """When ``due`` will have something next; None while nothing is in flight."""
        waiting = [stream for stream, flights in self._streams.items() if flights]
        return min((flight.deadline_s for at in waiting for flight in self._candidates(at)), default=None)

    def _candidates(self, stream: Stream) -> list[Flight]:
        flights = list(self._streams[stream].values())
        return flights[:1] if stream in self._probing else flights

    def _suspect(self, stream: Stream, retry_s: float) -> None:
        """One message of this stream was lost, so those behind it may be: none may be overtaken."""
        if stream not in self._probing:
            self._probing.add(stream)
            for flight in self._streams[stream].values():
                self._count(flight, -1)
        for flight in self._streams[stream].values():
            flight.deadline_s = min(flight.deadline_s, retry_s)

    def _count(self, flight: Flight, sign: int) -> None:
        if flight.stream in ALARM_STREAMS:
            self._alarms.add(flight.message, sign)
            return
        self._rest.add(flight.message, sign)
        if flight.stream in BULK_STREAMS:
            self._bulk.add(flight.message, sign)


class Backoff:
    """How long to wait before the next connection: full jitter under a doubling cap.

    Source: "Exponential Backoff And Jitter", AWS Architecture Blog 2015, variant "full jitter".

    Args:
        dice: gives numbers in [0, 1).
        last_s: where the cap stops growing.
    """

    FIRST_S: Final = 1.0
    LAST_S: Final = 60.0

    def __init__(self, dice: Callable[[], float], last_s: float = LAST_S) -> None:
        self._dice = dice
        self._last_s = last_s
        self._cap_s = self.FIRST_S

    def next_s(self) -> float:
        """The next wait, between 0 and a cap that doubles from 1 s on."""
        wait_s = self._dice() * self._cap_s
        self._cap_s = min(self._cap_s * 2, self._last_s)
        return wait_s

    def reset(self) -> None:
        """A message was accepted: the road is good."""
        self._cap_s = self.FIRST_S
