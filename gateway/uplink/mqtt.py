"""One MQTT 5 connection over mutual TLS: the only file of the gateway that imports paho.

A thread only connects (certificate files, name look-up, TCP, TLS: these block) and hands the socket over; from then
on the asyncio loop drives paho through the steps it offers for foreign loops (``loop_read``, ``loop_write``,
``loop_misc``) on a non-blocking socket. A thread that turned paho's own loop cost 5 wake-ups and 0.8 ms of CPU per
message (docs/decisions/0009-mqtt-on-the-loop.md). paho's in-flight and queue limits are off: the sender's window is
the only queue. A client object is used for one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import (
    MQTT_ERR_SUCCESS,
    Client,
    ConnectFlags,
    DisconnectFlags,
    MQTTMessage,
    MQTTv5,
)
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from gateway.uplink import refusals
from gateway.uplink.dial import Dialer, TlsSocket
from gateway.uplink.message import TooLargeError, Verdict
from gateway.uplink.transport import LinkError, Listener

TEND_S: Final = 2.0
"""How often the keep-alive is looked at."""

CLOSE_S: Final = 1.5
"""A polite goodbye may take this long; likewise the end of a connection attempt that was interrupted."""

ANSWER_S: Final = 10.0
"""A broker that has not said yes to connection and subscription so long after the handshake is given up."""

READ_BURST: Final = 64
"""paho's reading steps in one turn of the loop."""

DISCONNECT_WITH_WILL: Final = 0x04
RECEIVE_MAXIMUM: Final = 65_535
"""Unconfirmed publishes a broker takes that names no number. Source: MQTT 5 section 3.2.2.3.3."""

PACKET_OVERHEAD_BYTES: Final = 64
"""Fixed header, topic length, packet id, properties: room kept below the broker's maximum packet size."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect and who we are.

    Attributes:
        host: the broker's name, must match its certificate.
        port: its TLS port.
        ca: trust anchor, PEM; the system's own authorities are not asked.
        certificate: ours, PEM.
        private_key: ours, PEM.
        client_id: one session per id; the broker throws the older one out.
        listen: topics subscribed to, QoS 1, before the line counts as up.
        listen_too: likewise, but the line stands even if the broker refuses these; see ``Transport.deaf``.
        status_topic: where birth and last will go, "" for none.
        birth: retained message when the line is up.
        will: retained message when it is gone.
        every_delivery: report good PUBACKs too; without it only bad ones wake the loop.
        max_incoming_bytes: the broker is told to send no larger packet.
        keepalive_s: MQTT keep-alive.
        connect_timeout_s: bound of the TCP and of the TLS handshake each.
        silence_s: TCP_USER_TIMEOUT: sent bytes that nobody acknowledges for so long end the line.
    """

    host: str
    port: int
    ca: Path
    certificate: Path
    private_key: Path
    client_id: str
    listen: tuple[str, ...]
    listen_too: tuple[str, ...] = ()
    status_topic: str = ""
    birth: bytes = b""
    will: bytes = b""
    every_delivery: bool = False
    max_incoming_bytes: int = 1 << 20
    keepalive_s: int = 10
    connect_timeout_s: float = 5.0
    silence_s: float = 5.0


class _PahoClient(Client):
    """paho's client over a connection of our own making: paho's way cannot be interrupted and tells no reasons."""

    def __init__(self, client_id: str, dialer: Dialer) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2, client_id=client_id, protocol=MQTTv5, reconnect_on_failure=False
        )
        self._dialer = dialer

    def release(self) -> None:
        """Close every socket; only when the thread that connects uses none of them any more."""
        self._dialer.release()
        self._reset_sockets()

    def _create_socket_connection(self) -> socket.socket:
        return self._dialer.dial(self.host, self.port)


class MqttTransport:
    """One connection to a broker; see ``gateway.uplink.transport.Transport``."""

    def __init__(self, endpoint: Endpoint, listener: Listener) -> None:
        self.deaf = ""
        self._endpoint = endpoint
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._client: _PahoClient | None = None
        self._dialer: Dialer | None = None
        self._thread: threading.Thread | None = None
        self._socket: TlsSocket | None = None
        self._tending: asyncio.TimerHandle | None = None
        self._answering: asyncio.TimerHandle | None = None
        self._writing: asyncio.Handle | None = None
        self._watches_write = False
        self._closing = False
        self._max_payload_bytes = 0
        self._receive_maximum = RECEIVE_MAXIMUM
        self._unconfirmed: set[int] = set()
        self._why: LinkError | None = None
        self._refusal = ""

    async def connect(self) -> None:
        """See ``Transport.connect``."""
        endpoint = self._endpoint
        files = (endpoint.ca, endpoint.certificate, endpoint.private_key)
        make_tls = partial(refusals.client_tls, *files)
        self._dialer = Dialer(make_tls, endpoint.connect_timeout_s, endpoint.silence_s)
        client = self._client = _PahoClient(endpoint.client_id, self._dialer)
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(0)
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        # Being set while the thread connects, it keeps paho from writing there and then.
        client.on_socket_register_write = _write_later
        if endpoint.status_topic:
            client.will_set(endpoint.status_topic, endpoint.will, qos=1, retain=True)
        self._thread = threading.Thread(
            target=self._open, args=(client,), name=f"mqtt-{endpoint.client_id}", daemon=True
        )
        self._thread.start()
        await self._up

    @property
    def room(self) -> int:
        """See ``Transport.room``."""
        return max(0, self._receive_maximum - len(self._unconfirmed))

    def publish(self, topic: str, payload: bytes, *, sure: bool = True, retain: bool = False) -> int:
        """See ``Transport.publish``. With ``sure`` the broker has to say that it took it (QoS 1).

        ``room`` is the caller's to look at, with ``sure``.
        """
        if self._client is None or self._socket is None or self._closing:
            raise refusals.ended()
        if self._max_payload_bytes and len(payload) + len(topic) > self._max_payload_bytes:
            raise TooLargeError(f"{len(payload)} bytes, the broker takes {self._max_payload_bytes}")
        mid = self._client.publish(topic, payload, qos=1 if sure else 0, retain=retain).mid
        if sure:
            self._unconfirmed.add(mid)
        return mid

    async def close(self) -> None:
        """See ``Transport.close``."""
        self._closing = True
        client = self._client
        if client is None or self._thread is None:
            return
        try:
            if self._socket is not None:
                leave = ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL)
                client.disconnect(reasoncode=leave)
                await self._end_within(CLOSE_S)
        finally:
            if self._socket is not None:
                self._finish()
            elif not self._ended.is_set():
                if self._dialer is not None:
                    self._dialer.interrupt()
                # A thread inside a name look-up cannot be woken; it is a daemon and ends with the look-up.
                await self._end_within(CLOSE_S)

    async def _end_within(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._ended.wait()

    # ---- on a thread of its own: connecting blocks ----

    def _open(self, client: _PahoClient) -> None:
        endpoint = self._endpoint
        why: LinkError | None = None
        try:
            session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it bare
            session.SessionExpiryInterval = 0
            session.MaximumPacketSize = endpoint.max_incoming_bytes
            client.connect(
                endpoint.host, endpoint.port, endpoint.keepalive_s, clean_start=True, properties=session
            )
        except LinkError as e:
            why = e
        except (OSError, UnicodeError) as e:
            why = refusals.of_connecting(e, endpoint.host, endpoint.port)
        try:
            self._loop.call_soon_threadsafe(self._opened, client, why)
        except RuntimeError:
            # The loop is closed, the process stops; nobody is left to be told.
            client.release()

    # ---- on the loop from here on ----

    def _opened(self, client: _PahoClient, why: LinkError | None) -> None:
        assert self._thread is not None
        self._thread.join()  # it has nothing left to do but return
        sock = client.socket()
        if why is not None or self._closing or not isinstance(sock, TlsSocket):
            self._why = why
            self._finish()
            return
        self._socket = sock
        client.on_socket_register_write = self._on_wants_write
        client.on_socket_close = self._on_socket_close
        self._loop.add_reader(sock, self._read)
        self._answering = self._loop.call_later(ANSWER_S, self._unanswered)
        self._tend()
        self._write()

    def _step(self, deed: Callable[[], int]) -> bool:
        """One of paho's steps. Returns whether the line still stands."""
        if self._client is None or self._socket is None:
            return False
        try:
            stands = deed() == MQTT_ERR_SUCCESS and self._client.socket() is not None
        except Exception as e:  # noqa: BLE001 - whatever paho stumbles over in a broker's bytes ends this line only
            self._why = self._why or refusals.garbled(e)
            stands = False
        if not stands:
            self._finish()
        return stands

    def _read(self) -> None:
        assert self._client is not None
        for _ in range(READ_BURST):
            if not self._step(self._client.loop_read) or self._socket is None:
                return
            if not self._socket.pending():
                return
        # TLS holds more, of which the selector knows nothing; others first.
        self._loop.call_soon(self._read)

    def _write(self) -> None:
        self._writing = None
        if self._client is None or not self._step(self._client.loop_write) or self._socket is None:
            return
        blocked = self._client.want_write()
        if blocked and not self._watches_write:
            self._loop.add_writer(self._socket, self._write)
        elif self._watches_write and not blocked:
            self._loop.remove_writer(self._socket)
        self._watches_write = blocked

    def _tend(self) -> None:
        """Keep-alive: paho looks whether a ping or its answer is due."""
        if self._client is not None and self._step(self._client.loop_misc):
            self._tending = self._loop.call_later(TEND_S, self._tend)

    def _unanswered(self) -> None:
        if not self._up.done():
            self._why = self._why or refusals.unanswered(self._endpoint.host, self._endpoint.port)
            self._finish()

    def _finish(self) -> None:
        """Leave nothing behind, and tell whoever has to know."""
        assert self._client is not None
        for handle in (self._tending, self._answering, self._writing):
            if handle is not None:
                handle.cancel()
        self._client.release()
        if self._ended.is_set():
            return
        self._ended.set()
        why = self._why or refusals.of_line(self._refusal, self._endpoint.host, self._endpoint.port)
        if self._closing:
            self._up.cancel()
        elif not self._up.done():
            self._up.set_exception(why)
        elif not self._up.cancelled():
            self._loop.call_soon(self._listener.down, why)

    # ---- paho's callbacks; what they report goes on after paho has returned ----

    def _on_wants_write(self, client: Client, userdata: Any, sock: Any) -> None:
        del client, userdata, sock
        if self._writing is None and not self._watches_write:
            self._writing = self._loop.call_soon(self._write)

    def _on_socket_close(self, client: Client, userdata: Any, sock: Any) -> None:
        del client, userdata
        self._socket = None
        self._refusal = sock.refusal
        self._loop.remove_reader(sock)
        self._loop.remove_writer(sock)

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, code: ReasonCode, answer: Properties | None
    ) -> None:
        del userdata, flags
        if code.is_failure:
            self._why = refusals.of_connack(code.value, str(code))
            return
        maximum = int(getattr(answer, "MaximumPacketSize", 0))
        self._max_payload_bytes = max(1, maximum - PACKET_OVERHEAD_BYTES) if maximum else 0
        self._receive_maximum = int(getattr(answer, "ReceiveMaximum", RECEIVE_MAXIMUM))
        topics = (*self._endpoint.listen, *self._endpoint.listen_too)
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in topics])

    def _on_subscribe(
        self, client: Client, userdata: Any, mid: int, codes: list[ReasonCode], answer: Properties | None
    ) -> None:
        del userdata, mid, answer
        must = len(self._endpoint.listen)
        self.deaf = next((str(code) for code in codes[must:] if code.is_failure), "")
        refused = next((code for code in codes[:must] if code.is_failure), None)
        if refused is not None:
            self._why = refusals.of_suback(refused.value, str(refused))
            client.disconnect()
            return
        if self._endpoint.status_topic:
            birth = client.publish(self._endpoint.status_topic, self._endpoint.birth, qos=1, retain=True)
            self._unconfirmed.add(birth.mid)
        if not self._up.done():
            self._up.set_result(None)

    def _on_publish(
        self, client: Client, userdata: Any, mid: int, code: ReasonCode, answer: Properties | None
    ) -> None:
        del client, userdata, answer
        awaited = not self.room
        self._unconfirmed.discard(mid)
        if code.value or awaited or self._endpoint.every_delivery:
            self._loop.call_soon(self._deliver, mid, code.value, str(code))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        del client, userdata
        # A topic that is not UTF-8 is none of ours.
        with contextlib.suppress(UnicodeDecodeError):
            self._loop.call_soon(self._receive, message.topic, bytes(message.payload))

    def _on_disconnect(
        self,
        client: Client,
        userdata: Any,
        flags: DisconnectFlags,
        code: ReasonCode,
        answer: Properties | None,
    ) -> None:
        del client, userdata, answer
        if flags.is_disconnect_packet_from_server:
            self._why = self._why or refusals.of_disconnect(code.value, str(code))

    def _deliver(self, mid: int, code: int, text: str) -> None:
        if not self._closing:
            self._listener.delivered(mid, refusals.PUBACK.get(code, Verdict.NO_RECEIPT), text)

    def _receive(self, topic: str, payload: bytes) -> None:
        if not self._closing:
            self._listener.received(topic, payload)


def _write_later(client: Client, userdata: Any, sock: Any) -> None:
    """While the thread connects: what is queued is written once the loop has taken over."""
