"""What the sender asks of a line, whatever protocol it speaks. Types only; opens nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

from gateway.uplink.message import Verdict


class LinkError(Exception):
    """The line is down or was refused.

    Attributes:
        code: stable identifier, e.g. ``E-LINK-EXPIRED``.
        cause: what is wrong, {"zh": …, "en": …}.
        remedy: what to do, {"zh": …, "en": …}.
        unauthorised: a person has to act, so retry slowly; else it may come back by itself.
    """

    def __init__(
        self, code: str, cause: dict[str, str], remedy: dict[str, str], *, unauthorised: bool = False
    ) -> None:
        super().__init__(f"{code}: {cause['en']} {remedy['en']}")
        self.code = code
        self.cause = cause
        self.remedy = remedy
        self.unauthorised = unauthorised

    def words(self) -> dict[str, str]:
        """Cause and remedy as one sentence per language."""
        return {"zh": self.cause["zh"] + self.remedy["zh"], "en": f"{self.cause['en']} {self.remedy['en']}"}


class Listener(Protocol):
    """Where a line reports; always called on the loop, never after ``down`` or ``Transport.close``."""

    def received(self, topic: str, payload: bytes) -> None:
        """The other side said something on a topic we listen to."""

    def delivered(self, handle: int, verdict: Verdict, reason: str) -> None:
        """What the line itself says about a publish; ACCEPTED means no more than that the broker has it.

        Good news is told only where it was asked for, or where ``Transport.room`` was used up.
        """

    def down(self, error: LinkError) -> None:
        """The line is gone; throw the transport away."""


class DownChannel(Protocol):
    """Where a line hands what an authority sends down; called on the loop, must not block."""

    def post(self, topic: str, payload: bytes) -> None:
        """A message on the down channel, from whomever it may be."""

    def deaf(self, reason: str) -> None:
        """The line is up; the broker does not let us listen here, and says why, or "" where it does."""


class Transport(Protocol):
    """One connection: made, used once, thrown away.

    Attributes:
        deaf: why the other side does not let us hear what we need not hear; "" where it does. Known once connected.
    """

    deaf: str

    async def connect(self) -> None:
        """Connect, listen, and say that we are there.

        Raises:
            LinkError: not up.
        """

    @property
    def room(self) -> int:
        """How many more publishes the other side takes before it has confirmed one."""

    def publish(self, topic: str, payload: bytes) -> int:
        """Hand a message to the line; never blocks. Returns the handle that ``delivered`` will name.

        Raises:
            TooLargeError: the other side takes no message of this size.
            LinkError: the line is gone.
        """

    async def close(self) -> None:
        """Take leave if there is a line, and leave no thread and no socket behind."""


TransportFactory: TypeAlias = Callable[[Listener], Transport]
