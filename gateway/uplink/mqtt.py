"""One MQTT 5 connection over mutual TLS: the only file of the gateway that imports paho.

The connection lives in a thread of its own that this file starts: it connects, then turns paho's public
``loop`` until the line ends. Its callbacks only post to the asyncio loop. ``publish`` is called on the loop and
never blocks: paho appends to a queue and wakes the thread through a socket pair, because a write callback is
set (without one paho would write to the socket in the caller's thread). paho's own in-flight and queue
limits are off: the sender's window is the only queue. A client object is used for one connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
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
from gateway.uplink.message import TooLargeError, Verdict
from gateway.uplink.transport import LinkError, Listener

WAKE_S: Final = 2.0
"""The thread looks at its keep-alive this often while nothing happens."""

CLOSE_S: Final = 1.5
"""A polite goodbye may take this long, then the socket is shut; likewise for the thread to end after that."""

DISCONNECT_WITH_WILL: Final = 0x04
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
    status_topic: str = ""
    birth: bytes = b""
    will: bytes = b""
    every_delivery: bool = False
    max_incoming_bytes: int = 1 << 20
    keepalive_s: int = 10
    connect_timeout_s: float = 5.0
    silence_s: float = 5.0


class _PahoClient(Client):
    """paho's client over a TLS socket of our own making.

    paho's way to make one loses the reason of a failed handshake's socket and cannot be interrupted; this one
    closes what failed and can be shut from outside at any moment, also while connecting.
    """

    def __init__(self, endpoint: Endpoint, tls: ssl.SSLContext) -> None:
        super().__init__(
            CallbackAPIVersion.VERSION2,
            client_id=endpoint.client_id,
            protocol=MQTTv5,
            reconnect_on_failure=False,
        )
        self.connect_timeout = endpoint.connect_timeout_s
        self._silence_ms = int(endpoint.silence_s * 1000)
        self._tls = tls
        self._shutters: list[socket.socket] = []
        self._shut = threading.Event()

    @property
    def is_shut(self) -> bool:
        """Whether ``shut`` was called."""
        return self._shut.is_set()

    def shut(self) -> None:
        """End the TCP connection, whatever state it is in."""
        self._shut.set()
        for shutter in list(self._shutters):
            with contextlib.suppress(OSError):
                shutter.shutdown(socket.SHUT_RDWR)

    def release(self) -> None:
        """Close every socket; only when the connection's thread uses none of them any more."""
        while self._shutters:
            self._shutters.pop().close()
        self._reset_sockets()

    def _create_socket_connection(self) -> socket.socket:
        failure: OSError = ConnectionRefusedError(f"{self.host} has no address")
        for family, kind, protocol, _, address in socket.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM
        ):
            sock = socket.socket(family, kind, protocol)
            try:
                # A second handle on the same connection: TLS takes the first one over.
                self._shutters.append(sock.dup())
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, self._silence_ms)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                sock.settimeout(self.connect_timeout)
                if self.is_shut:
                    raise ConnectionAbortedError("closed while connecting")
                sock.connect(address)
                sock = self._tls.wrap_socket(sock, server_hostname=self.host, do_handshake_on_connect=False)
                sock.do_handshake()
            except ssl.SSLError:
                sock.close()
                raise
            except OSError as e:
                sock.close()
                failure = e
            else:
                return sock
        raise failure


class MqttTransport:
    """One connection to a broker; see ``gateway.uplink.transport.Transport``."""

    def __init__(self, endpoint: Endpoint, listener: Listener) -> None:
        self._endpoint = endpoint
        self._listener = listener
        self._loop = asyncio.get_running_loop()
        self._up: asyncio.Future[None] = self._loop.create_future()
        self._ended = asyncio.Event()
        self._thread: threading.Thread | None = None
        self._client: _PahoClient | None = None
        self._closing = False
        self._gone = False
        self._max_payload_bytes = 0
        # Written by the connection's thread only; read there.
        self._why: LinkError | None = None
        self._last_log = ""

    async def connect(self) -> None:
        """See ``Transport.connect``."""
        endpoint = self._endpoint
        tls = refusals.client_tls(endpoint.ca, endpoint.certificate, endpoint.private_key)
        client = self._client = _PahoClient(endpoint, tls)
        client.max_inflight_messages_set(0)
        client.max_queued_messages_set(0)
        client.on_socket_register_write = _written_by_the_thread
        client.on_connect = self._on_connect
        client.on_subscribe = self._on_subscribe
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.on_disconnect = self._on_disconnect
        client.on_log = self._on_log
        if endpoint.status_topic:
            client.will_set(endpoint.status_topic, endpoint.will, qos=1, retain=True)
        self._thread = threading.Thread(target=self._run, name=f"mqtt-{endpoint.client_id}", daemon=True)
        self._thread.start()
        await self._up

    def publish(self, topic: str, payload: bytes) -> int:
        """See ``Transport.publish``."""
        if self._client is None or self._gone or self._closing:
            raise refusals.ended()
        if self._max_payload_bytes and len(payload) + len(topic) > self._max_payload_bytes:
            raise TooLargeError(f"{len(payload)} bytes, the broker takes {self._max_payload_bytes}")
        return self._client.publish(topic, payload, qos=1).mid

    async def close(self) -> None:
        """See ``Transport.close``."""
        self._closing = True
        client, thread = self._client, self._thread
        if client is None or thread is None:
            return
        try:
            if not self._ended.is_set() and self._up.done() and not self._up.cancelled():
                leave = ReasonCode(PacketTypes.DISCONNECT, identifier=DISCONNECT_WITH_WILL)
                client.disconnect(reasoncode=leave)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._ended.wait(), CLOSE_S)
        finally:
            client.shut()
            # A thread inside a name look-up cannot be woken; it is a daemon and ends with the look-up.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), CLOSE_S)
            if self._ended.is_set():
                thread.join()

    # ---- on the connection's thread from here on ----

    def _run(self) -> None:
        client, endpoint = self._client, self._endpoint
        assert client is not None
        try:
            session = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call] # paho left it bare
            session.SessionExpiryInterval = 0
            session.MaximumPacketSize = endpoint.max_incoming_bytes
            client.connect(
                endpoint.host, endpoint.port, endpoint.keepalive_s, clean_start=True, properties=session
            )
            while not client.is_shut and client.loop(WAKE_S) == MQTT_ERR_SUCCESS:
                pass
        except (OSError, UnicodeError) as e:
            self._why = self._why or refusals.of_connecting(e, endpoint.host, endpoint.port)
        except Exception as e:  # noqa: BLE001 - whatever paho stumbles over in a broker's bytes ends this line only
            self._why = self._why or refusals.garbled(e)
        finally:
            why = self._why or refusals.of_line(self._last_log, endpoint.host, endpoint.port)
            if not self._post(self._end, why):
                client.release()

    def _post(self, call: Callable[..., None], *values: Any) -> bool:
        try:
            self._loop.call_soon_threadsafe(call, *values)
        except RuntimeError:
            # The loop is closed, the process stops; nobody is left to be told.
            return False
        return True

    def _on_log(self, client: Client, userdata: Any, level: int, text: str) -> None:
        del client, userdata, level
        # The only place where paho tells why TLS 1.3 refused our certificate: that comes after the handshake.
        if "failed to receive on socket" in text:
            self._last_log = text

    def _on_connect(
        self, client: Client, userdata: Any, flags: ConnectFlags, code: ReasonCode, answer: Properties | None
    ) -> None:
        del userdata, flags
        if code.is_failure:
            self._why = refusals.of_connack(code.value, str(code))
            return
        client.on_log = None
        maximum = int(getattr(answer, "MaximumPacketSize", 0))
        self._post(self._learn, maximum)
        client.subscribe([(topic, SubscribeOptions(qos=1)) for topic in self._endpoint.listen])

    def _on_subscribe(
        self, client: Client, userdata: Any, mid: int, codes: list[ReasonCode], answer: Properties | None
    ) -> None:
        del userdata, mid, answer
        refused = next((code for code in codes if code.is_failure), None)
        if refused is not None:
            self._why = refusals.of_suback(refused.value, str(refused))
            client.disconnect()
            return
        if self._endpoint.status_topic:
            client.publish(self._endpoint.status_topic, self._endpoint.birth, qos=1, retain=True)
        self._post(self._rise)

    def _on_publish(
        self, client: Client, userdata: Any, mid: int, code: ReasonCode, answer: Properties | None
    ) -> None:
        del client, userdata, answer
        if code.value or self._endpoint.every_delivery:
            self._post(self._deliver, mid, code.value, str(code))

    def _on_message(self, client: Client, userdata: Any, message: MQTTMessage) -> None:
        del client, userdata
        # A topic that is not UTF-8 is none of ours.
        with contextlib.suppress(UnicodeDecodeError):
            self._post(self._receive, message.topic, message.payload)

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

    # ---- on the loop again ----

    def _learn(self, maximum_packet_bytes: int) -> None:
        if maximum_packet_bytes:
            self._max_payload_bytes = max(1, maximum_packet_bytes - PACKET_OVERHEAD_BYTES)

    def _rise(self) -> None:
        if not self._up.done():
            self._up.set_result(None)

    def _deliver(self, mid: int, code: int, text: str) -> None:
        if not self._closing:
            self._listener.delivered(mid, refusals.PUBACK.get(code, Verdict.NO_RECEIPT), text)

    def _receive(self, topic: str, payload: bytes) -> None:
        if not self._closing:
            self._listener.received(topic, payload)

    def _end(self, why: LinkError) -> None:
        assert self._client is not None
        self._gone = True
        self._client.release()
        self._ended.set()
        if self._closing:
            self._up.cancel()
        elif not self._up.done():
            self._up.set_exception(why)
        elif not self._up.cancelled():
            self._listener.down(why)


def _written_by_the_thread(client: Client, userdata: Any, sock: Any) -> None:
    """Its being set is what matters: see the head of this file."""
