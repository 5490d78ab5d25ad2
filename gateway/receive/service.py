"""``plantgate receive``: takes what gateways send, stores it, then says so. Touches the loop, a line, a store.

A receipt goes out only after its message is committed; whatever is lost on the way (a message, a receipt, this
process) the gateway sends again under the same key, so the broker's own acknowledgements do not matter.
"""

from __future__ import annotations

import asyncio
import logging
import random
import signal
import sys
import time
from collections.abc import Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import Exit, UserFacingError
from gateway.receive.store import Arrived, Judged, Store
from gateway.uplink.dialects.plantgate_1 import (
    MAX_MESSAGE_BYTES,
    encode_receipt,
    gateway_topics,
    receipt_topic_of,
)
from gateway.uplink.message import Receipt, Rejection, TooLargeError, Verdict
from gateway.uplink.mqtt import Endpoint, MqttTransport
from gateway.uplink.transport import LinkError
from gateway.uplink.window import Backoff

INBOX_BYTES: Final = 64 << 20
"""What may wait for the disk; beyond it messages are left to come again."""

PACKET_HEAD_BYTES: Final = 66 << 10
"""Topic and properties before a message: with less, the broker would drop the largest without a word."""

COMMIT_MESSAGES: Final = 100
"""Messages of one commit and keys of one receipt at most."""

RECONNECT_LAST_S: Final = 5.0
"""Longest wait for the broker: it is the recipient's own, and without a receiver every gateway's record waits."""

log = logging.getLogger("plantgate.receive")


@dataclass(frozen=True, slots=True)
class ReceiverSettings:
    """One receiver.

    Attributes:
        recipient: the name under which gateways know it; part of the receipts' topics.
        host: the broker's name, must match its certificate.
        port: its TLS port.
        ca: trust anchor, PEM.
        certificate: ours, PEM.
        private_key: its key, PEM.
        store: the database file.
    """

    recipient: str
    host: str
    port: int
    ca: Path
    certificate: Path
    private_key: Path
    store: Path


class Receiver:
    """Listens on one broker for every gateway."""

    def __init__(self, settings: ReceiverSettings) -> None:
        self._settings = settings
        self._inbox: list[Arrived] = []
        self._inbox_bytes = 0
        self._arrived = asyncio.Event()
        self._transport: MqttTransport | None = None
        self._fallen: asyncio.Future[LinkError] | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; what has arrived by then is stored.

        Raises:
            UserFacingError: the store cannot be used, or the broker refuses us.
        """
        with ThreadPoolExecutor(1, "receive-store") as thread:
            loop = asyncio.get_running_loop()
            store = await loop.run_in_executor(thread, Store, self._settings.store)
            try:
                await _first_of(self._stay_connected(), self._keep(store, thread), stop.wait())
                await self._keep_waiting(store, thread)
            finally:
                await loop.run_in_executor(thread, store.close)

    # ---- the line reports ----

    def received(self, topic: str, payload: bytes) -> None:
        """See ``Listener.received``."""
        if self._inbox_bytes + len(payload) > INBOX_BYTES:
            return
        self._inbox.append(Arrived(topic, payload, time.time_ns()))
        self._inbox_bytes += len(payload)
        self._arrived.set()

    def delivered(self, handle: int, verdict: Verdict, reason: str) -> None:
        """See ``Listener.delivered``: a receipt that did not arrive is asked for by a redelivery."""

    def down(self, error: LinkError) -> None:
        """See ``Listener.down``."""
        if self._fallen is not None and not self._fallen.done():
            self._fallen.set_result(error)

    # ---- inside ----

    async def _stay_connected(self) -> None:
        backoff = Backoff(random.SystemRandom().random, RECONNECT_LAST_S)
        told = ""
        while True:
            self._fallen = asyncio.get_running_loop().create_future()
            transport = MqttTransport(self._endpoint(), self)
            try:
                await transport.connect()
                self._transport = transport
                told = ""
                backoff.reset()
                log.info("connected to %s:%d", self._settings.host, self._settings.port)
                error = await self._fallen
            except LinkError as e:
                error = e
            finally:
                self._transport = None
                await transport.close()
            if error.unauthorised:
                raise self._refused(error)
            if told != error.code:
                log.warning("%s", error)
            told = error.code
            await asyncio.sleep(backoff.next_s())

    def _endpoint(self) -> Endpoint:
        settings = self._settings
        return Endpoint(
            host=settings.host,
            port=settings.port,
            ca=settings.ca,
            certificate=settings.certificate,
            private_key=settings.private_key,
            client_id=f"receiver/{settings.recipient}",
            listen=gateway_topics(),
            max_incoming_bytes=MAX_MESSAGE_BYTES + PACKET_HEAD_BYTES,
        )

    async def _keep(self, store: Store, thread: ThreadPoolExecutor) -> None:
        """Commit what came while the last commit ran, then answer it."""
        while True:
            await self._arrived.wait()
            await self._keep_waiting(store, thread)

    async def _keep_waiting(self, store: Store, thread: ThreadPoolExecutor) -> None:
        self._arrived.clear()
        while self._inbox:
            batch, self._inbox = self._inbox[:COMMIT_MESSAGES], self._inbox[COMMIT_MESSAGES:]
            # Once begun it is finished, even if this task is cancelled; then its receipts wait for a redelivery.
            judged = await asyncio.get_running_loop().run_in_executor(thread, store.commit, batch)
            self._inbox_bytes -= sum(len(one.payload) for one in batch)
            self._answer(judged)
            self._take_away(judged)

    def _answer(self, judged: Iterable[Judged]) -> None:
        accepted: dict[str, list[str]] = {}
        rejected: dict[str, list[Rejection]] = {}
        for one in judged:
            topic = receipt_topic_of(one.topic, self._settings.recipient)
            if one.outcome in {"new", "redelivered"}:
                accepted.setdefault(topic, []).append(one.key)
            elif one.outcome == "conflict":
                rejected.setdefault(topic, []).append(Rejection(one.key, None, one.reason))
            else:
                log.warning("%s: not stored: %s", one.topic, one.reason)
        for topic in accepted.keys() | rejected.keys():
            # The same key may have come twice in one commit.
            keys = tuple(dict.fromkeys(accepted.get(topic, ())))
            refused = tuple(one for one in rejected.get(topic, ()) if one.key not in keys)
            receipt = Receipt(self._settings.recipient, keys, refused)
            if self._transport is None:
                return
            try:
                # A lost receipt is asked for again, so the broker need not confirm it.
                self._transport.publish(topic, encode_receipt(receipt, time.time_ns()), sure=False)
            except (LinkError, TooLargeError) as e:
                log.warning("receipt not sent, it is asked for again: %s", e)

    def _take_away(self, judged: Iterable[Judged]) -> None:
        """What a gateway has on record need not wait for it at the broker any more."""
        own = self._settings.recipient
        done = {
            f"{one.topic.rpartition('/')[0]}/order/{own}/{order_id}": None
            for one in judged
            for whose, order_id in one.orders
            if whose == own
        }
        for topic in done:
            if self._transport is None:
                return
            try:
                self._transport.publish(topic, b"", sure=False, retain=True)
            except (LinkError, TooLargeError) as e:
                log.warning("%s stays at the broker: %s", topic, e)

    def _refused(self, error: LinkError) -> UserFacingError:
        place = f"{self._settings.host}:{self._settings.port}"
        return UserFacingError(error.code, Exit.ENVIRONMENT, place, error.cause, error.remedy)


async def _first_of(*lives: Coroutine[None, None, object]) -> None:
    """Run all until one ends; cancel the others; raise what ended it."""
    tasks = [asyncio.create_task(life) for life in lives]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


async def _serve(settings: ReceiverSettings) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await Receiver(settings).run(stop)


def run(settings: ReceiverSettings, language: str) -> int:
    """Serve until SIGTERM or SIGINT. Returns the exit code; what stopped it is said on stderr."""
    try:
        asyncio.run(_serve(settings))
    except UserFacingError as e:
        print(e.line(language), file=sys.stderr)
        return int(e.exit_code)
    return int(Exit.OK)
