"""The floor of the speed bench: what reading and sending cost when nothing is decided and nothing is kept.

Run as a process of its own: ``python -m hil.floor PLAN.json``; SIGTERM ends it and it says on stdout what it did.

It does, as lean as it can be written on asyncio and numpy:
    read one block per device and period over a Modbus TCP connection that stays open: a ready-made request, and
    one numpy call that turns the answer's registers into the device's row of float64;
    in the very slots the gateway reads in (``drivers.kit.pace``), one timer per slot, not one per device;
    publish, once per flush, one MQTT 5 QoS 1 frame over mutual TLS (the gateway's own TLS context) whose payload
    is a message the gateway really sent at this level;
    take the PUBACKs, and answer and count the receipts.
It does not: check answers beyond their length, mark quality, scale, judge limits, encode, compress, hash, write a
disk, keep a window, send again, reconnect, serve a control socket or feed a watchdog. It sleeps nowhere but in its
timers, and if it cannot read or send it ends with an error instead of being cheap.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
from numpy.typing import NDArray

from drivers.kit.pace import period_ns
from gateway.uplink.refusals import client_tls
from hil.reading_rounds import ANSWER_HEAD_BYTES, BlockLink, read_in_slot

UNIT_ID: Final = 1
MAX_PACKET_ID: Final = 0xFFFF
KEEPALIVE_S: Final = 10

# MQTT 5 section 2.1.2, packet type and flags of the first byte.
_CONNECT, _CONNACK, _PUBLISH_QOS1, _PUBLISH, _PUBACK = 0x10, 0x20, 0x32, 0x30, 0x40
_SUBSCRIBE, _SUBACK = 0x82, 0x90


@dataclass(frozen=True, slots=True)
class FloorDevice:
    """One PLC: where it is, and in which slot of the period it is read."""

    host: str
    port: int
    slot: int


@dataclass(frozen=True, slots=True)
class FloorPlan:
    """All the floor does.

    Attributes:
        devices: the PLCs.
        registers: holding registers read from each, from 0.
        period_s: between two reads of a device.
        flush_s: between two publishes.
        host, port: the broker.
        ca, certificate, private_key: PEM files for mutual TLS.
        client_id: MQTT client id.
        topic: where it publishes.
        receipt_topic: where receipts come.
        payload: file with the bytes of each message.
    """

    devices: tuple[FloorDevice, ...]
    registers: int
    period_s: float
    flush_s: float
    host: str
    port: int
    ca: str
    certificate: str
    private_key: str
    client_id: str
    topic: str
    receipt_topic: str
    payload: str

    def write(self, path: Path) -> None:
        """Save it for the process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> FloorPlan:
        """As ``write`` saved it."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        devices = tuple(FloorDevice(**device) for device in fields.pop("devices"))
        return cls(devices=devices, **fields)


class BrokerLink(asyncio.Protocol):
    """One MQTT 5 connection, frames made by hand (sections 3.1, 3.3, 3.4, 3.8 of MQTT 5)."""

    def __init__(self, plan: FloorPlan, lost: Callable[[str], None]) -> None:
        self._plan = plan
        self._lost = lost
        self._buffer = b""
        self._packet_id = 0
        topic, payload = _text(plan.topic), Path(plan.payload).read_bytes()
        self._head = bytes((_PUBLISH_QOS1,)) + _length(len(topic) + 3 + len(payload)) + topic
        self._tail = b"\0" + payload  # no properties
        self.transport: asyncio.Transport
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.published = 0
        self.pubacks = 0
        self.receipts = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop: CONNECT with a clean start, then SUBSCRIBE to the receipts."""
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        head = _text("MQTT") + b"\x05\x02" + KEEPALIVE_S.to_bytes(2, "big") + b"\0"
        transport.write(_packet(_CONNECT, head + _text(self._plan.client_id)))
        transport.write(_packet(_SUBSCRIBE, b"\0\x01\0" + _text(self._plan.receipt_topic) + b"\x01"))

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the loop."""
        self._lost(f"the broker is gone: {exc or 'closed'}")

    def publish(self) -> None:
        """Send the message once."""
        self._packet_id = self._packet_id % MAX_PACKET_ID + 1
        self.transport.write(b"".join((self._head, self._packet_id.to_bytes(2, "big"), self._tail)))
        self.published += 1

    def data_received(self, data: bytes) -> None:
        """Called by the loop."""
        buffer = self._buffer + data if self._buffer else data
        while len(buffer) >= 2:
            length, start = buffer[1], 2
            if length & 0x80:
                if len(buffer) < 3:
                    break
                length, start = length & 0x7F | buffer[2] << 7, 3  # receipts and acknowledgements are short
            end = start + length
            if len(buffer) < end:
                break
            self._take(buffer[0], buffer[start:end])
            buffer = buffer[end:]
        self._buffer = buffer

    def _take(self, first: int, body: bytes) -> None:
        kind = first & 0xF0
        if kind == _PUBACK:
            self.pubacks += 1
        elif kind == _PUBLISH:
            self.receipts += 1
            at = 2 + int.from_bytes(body[:2], "big")
            self.transport.write(bytes((_PUBACK, 2)) + body[at : at + 2])
        elif (kind == _CONNACK and body[1]) or (kind == _SUBACK and body[-1] > 2):
            self._lost(f"the broker refuses: {body.hex()}")
        elif kind == _SUBACK:
            self.ready.set_result(None)


async def run(plan: FloorPlan) -> dict[str, Any]:
    """Read and send until SIGTERM.

    Returns:
        what was done: answers, published, pubacks, receipts, and the TLS that was spoken.

    Raises:
        ConnectionError: a connection could not be made or was lost.
    """
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()

    def lost(why: str) -> None:
        if not over.done():
            over.set_exception(ConnectionError(why))

    def stop() -> None:
        if not over.done():
            over.set_result(None)

    loop.add_signal_handler(signal.SIGTERM, stop)
    tls = client_tls(Path(plan.ca), Path(plan.certificate), Path(plan.private_key))
    _, broker = await loop.create_connection(
        partial(BrokerLink, plan, lost), plan.host, plan.port, ssl=tls, server_hostname=plan.host
    )
    await asyncio.wait({broker.ready, over}, return_when=asyncio.FIRST_COMPLETED)
    latest = np.zeros((len(plan.devices), plan.registers))
    slots: dict[int, list[BlockLink]] = {}
    for row, device in zip(latest, plan.devices, strict=True):
        make = partial(BlockLink, UNIT_ID, plan.registers, partial(_fill, row), lost)
        _, link = await loop.create_connection(make, device.host, device.port)
        slots.setdefault(device.slot, []).append(link)
    for slot, links in slots.items():
        read_in_slot(links, period_ns(plan.period_s), slot)
    _publish_every(loop, broker, plan.flush_s)
    await over
    return {
        "answers": sum(link.answers for links in slots.values() for link in links),
        "published": broker.published,
        "pubacks": broker.pubacks,
        "receipts": broker.receipts,
        "tls": broker.transport.get_extra_info("cipher"),
    }


def _fill(row: NDArray[np.float64], answer: bytes) -> None:
    """An answer becomes its device's row."""
    row[:] = np.frombuffer(answer, ">u2", len(row), ANSWER_HEAD_BYTES)


def _publish_every(loop: asyncio.AbstractEventLoop, broker: BrokerLink, flush_s: float) -> None:
    due_s = loop.time()

    def fire() -> None:
        nonlocal due_s
        broker.publish()
        due_s += flush_s
        loop.call_at(due_s, fire)

    due_s += flush_s
    loop.call_at(due_s, fire)


def _text(text: str) -> bytes:
    encoded = text.encode()
    return len(encoded).to_bytes(2, "big") + encoded


def _length(length: int) -> bytes:
    """MQTT 5 section 1.5.5: seven bits a byte, lowest first."""
    out = bytearray()
    while length > 0x7F:
        out.append(length & 0x7F | 0x80)
        length >>= 7
    out.append(length)
    return bytes(out)


def _packet(first: int, body: bytes) -> bytes:
    return bytes((first,)) + _length(len(body)) + body


def main() -> NoReturn:
    """The process."""
    done = asyncio.run(run(FloorPlan.read(Path(sys.argv[1]))))
    print(json.dumps(done))
    sys.exit(0)


if __name__ == "__main__":
    main()
