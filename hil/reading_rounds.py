"""Bare block reads over Modbus TCP, round after round: what both floors of the bench do. Checks and decides nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from drivers.kit.pace import next_due

ANSWER_HEAD_BYTES: Final = 9
"""MBAP header, function code, byte count (Modbus Messaging on TCP/IP V1.0b section 3.1.3)."""


class BlockLink(asyncio.Protocol):
    """One connection, on which one block of holding registers from 0 is read.

    Args:
        unit_id: whom to ask.
        registers: how many.
        take: is given each whole answer, from its first byte on.
        lost: is told why the connection is gone.
    """

    def __init__(
        self,
        unit_id: int,
        registers: int,
        take: Callable[[bytes], None],
        lost: Callable[[str], None],
    ) -> None:
        self._answer_bytes = ANSWER_HEAD_BYTES + 2 * registers
        self._request = (
            bytes.fromhex("000100000006") + bytes((unit_id, 3, 0, 0)) + registers.to_bytes(2, "big")
        )
        self._take = take
        self._lost = lost
        self._begun = b""
        self._transport: asyncio.Transport
        self.answers = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._lost(f"a PLC is gone: {exc or 'closed'}")

    def ask(self) -> None:
        """Send the request."""
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        if self._begun:
            data = self._begun + data
        if len(data) < self._answer_bytes:
            self._begun = data
            return
        self._begun = b""
        self._take(data)
        self.answers += 1


def read_in_slot(links: Sequence[BlockLink], period: int, slot: int) -> None:
    """Ask all of them at every point of the slot's grid (``drivers.kit.pace``), by one timer.

    Args:
        links: whom.
        period: nanoseconds.
        slot: of the period.
    """
    loop = asyncio.get_running_loop()
    last_ns: int | None = None

    def fire() -> None:
        for link in links:
            link.ask()
        wait()

    def wait() -> None:
        nonlocal last_ns
        due = next_due(time.monotonic_ns(), period, slot, last_ns)
        last_ns = due.at_ns
        loop.call_at(due.at_s, fire)

    wait()
