"""The down channels: takes what a line heard, judges it off the loop, hands it to ``above``. Touches a file, a thread.

A channel exists only where the recipient has an ``orders_certificate``; without one the gateway does not even listen.
It can do three things: put a journal record down, say that it refuses something, and show what is known. It is given
neither engine nor sources, so that no message from above can reach a limit, an alarm or a device.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.above import Above, Answer, known_notices
from gateway.alarm.entry import Entry
from gateway.instant import Now, rfc3339
from gateway.rejections import Rejections
from gateway.uplink.order import MAX_PAYLOAD_BYTES, OrderRefusedError, is_id, parse

MAX_WAITING: Final = 200
"""Messages that wait to be judged; more than may be unanswered, for retained ones come all at once."""
EACH_S: Final = 0.01
"""At most one message in this time, whatever a broker throws at us."""
REFUSED_STANDS_S: Final = 600.0
"""So long a refusal stands as an alarm, unless a good message comes before."""
MAX_TOLD: Final = 32
"""Different refusals that are logged before a good message comes."""
MAX_CERTIFICATE_BYTES: Final = 1 << 20
MAX_BRIEF: Final = 100
"""So many are in the status at most."""

log = logging.getLogger("plantgate.downlink")

Record = Callable[[Entry], None]
Clock = Callable[[], Now]


class Downlink:
    """One recipient's down channel; see ``uplink.transport.DownChannel``.

    Attributes:
        name: the recipient.
        refused: how many messages were refused.
    """

    def __init__(
        self, name: str, certificate: Path, to: str, above: Above, record: Record, clock: Clock
    ) -> None:
        self.name = name
        self.refused = 0
        self._certificate = certificate
        self._to = to
        self._above = above
        self._record = record
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_WAITING)
        self._rejections = Rejections()
        self._reason = ""
        self._refused_mono_ns = 0
        self._told: set[str] = set()
        self._deaf = ""

    # ---- the line reports ----

    def post(self, topic: str, payload: bytes) -> None:
        """See ``DownChannel.post``."""
        if not payload:
            return  # a retained message was taken away
        if len(payload) > MAX_PAYLOAD_BYTES:
            self._refuse(topic, f"it has more than {MAX_PAYLOAD_BYTES} bytes")
            return
        try:
            self._waiting.put_nowait((topic, payload))
        except asyncio.QueueFull:
            self._refuse(topic, f"more than {MAX_WAITING} came at once")

    def deaf(self, reason: str) -> None:
        """See ``DownChannel.deaf``."""
        if reason and reason != self._deaf:
            log.warning("recipient %s: the broker refuses its down channel: %s", self.name, reason)
        self._deaf = reason

    # ---- its life ----

    async def run(self) -> None:
        """Judge what came, for ever; what a slow disk holds up here holds up nothing else."""
        while True:
            topic, payload = await self._waiting.get()
            try:
                order = await asyncio.to_thread(self._judged, topic, payload)
                entry = self._above.receive(order, self._clock())
            except OrderRefusedError as e:
                self._refuse(topic, str(e))
            else:
                self._reason = ""
                self._told.clear()
                if entry is not None:
                    log.info("recipient %s: %s %s", self.name, entry.kind, entry.item["id"])
                    self._record(entry)
            await asyncio.sleep(EACH_S)

    # ---- what it is asked ----

    def failure(self, mono_ns: int) -> str:
        """What is wrong with the channel or with what came last, "" if nothing."""
        if self._deaf:
            return f"the broker refuses the down channel: {self._deaf}"
        stands = mono_ns - self._refused_mono_ns < REFUSED_STANDS_S * 1e9
        return self._reason if stands else ""

    def due(self, mono_ns: int) -> list[dict[str, Any]]:
        """Journal items about what was refused, each covering all since the last."""
        return self._rejections.due(mono_ns)

    # ---- inside ----

    def _judged(self, topic: str, payload: bytes) -> Any:
        now = dt.datetime.fromtimestamp(self._clock().utc_ns / 1e9, dt.UTC)
        return parse(topic, payload, self.name, self._to, signing_keys(self._certificate, now))

    def _refuse(self, topic: str, reason: str) -> None:
        self.refused += 1
        named = topic.rpartition("/")[2]
        self._rejections.add(self.name, named if is_id(named) else "", reason)
        self._reason = reason
        self._refused_mono_ns = self._clock().mono_ns
        if reason not in self._told and len(self._told) < MAX_TOLD:
            self._told.add(reason)
            log.warning("recipient %s: an order is refused: %s", self.name, reason)


class Downlinks:
    """All down channels of a gateway, and what came over them.

    Args:
        certificates: recipient -> file of the certificates that sign what it sends down, for those that may.
        to: this gateway, ``site/gateway``.
        state: what was remembered at the last stop.
        record: puts an entry into the journal.
        clock: this instant.

    Attributes:
        channels: recipient -> its channel.
    """

    def __init__(
        self,
        certificates: Mapping[str, Path],
        to: str,
        state: Mapping[str, bytes],
        record: Record,
        clock: Clock,
    ) -> None:
        notices, self._unreadable = known_notices(state)
        self._above = Above(notices)
        self._record = record
        self._clock = clock
        self.channels = {
            name: Downlink(name, path, to, self._above, record, clock) for name, path in certificates.items()
        }

    def begin(self) -> None:
        """Put on record what could not be read back; it comes again where its authority left it at the broker."""
        if self._unreadable:
            item: dict[str, object] = {"states": self._unreadable}
            self._record(Entry("warnings_unreadable", item, dict.fromkeys(self._unreadable)))

    def failures(self, now: Now) -> Iterator[tuple[str, str]]:
        """Every channel's condition and its failure, "" if it is well."""
        for channel in self.channels.values():
            yield f"order-refused/{channel.name}", channel.failure(now.mono_ns)

    def journal_refusals(self, now: Now) -> None:
        """Put on record what was refused, summed up."""
        for channel in self.channels.values():
            for item in channel.due(now.mono_ns):
                self._record(Entry("order_refused", {**item, "at": rfc3339(now.utc_ns)}))

    def brief(self) -> list[dict[str, Any]]:
        """The most urgent ones without their texts, for a status that many ask for every second."""
        return [
            {key: value for key, value in item.items() if key != "text"} for item in self.view()[:MAX_BRIEF]
        ]

    def view(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """See ``Above.view``."""
        return self._above.view(self._clock(), everything=everything)

    def answer(self, actor: str, answer: Answer) -> None:
        """See ``Above.answer``."""
        self._record(self._above.answer(actor, answer, self._clock()))


def signing_keys(path: Path, now: dt.datetime) -> list[ec.EllipticCurvePublicKey]:
    """Keys of those certificates of a file that hold now; several, so that an authority can change its key.

    The file is PEM, or one certificate in DER.

    Raises:
        OrderRefusedError: there is no such key.
    """
    try:
        with path.open("rb") as file:
            certificates = certificates_in(file.read(MAX_CERTIFICATE_BYTES))
    except (OSError, ValueError) as e:
        raise OrderRefusedError(f"orders_certificate cannot be read: {path}") from e
    keys = [key for one in certificates if holds(one, now) and (key := p256_key(one)) is not None]
    if not keys:
        raise OrderRefusedError(f"orders_certificate holds no valid P-256 certificate: {path}")
    return keys


def certificates_in(content: bytes) -> list[x509.Certificate]:
    """Those of a PEM file, or the one of a DER file.

    Raises:
        ValueError: there is none, or one that cannot be read.
    """
    try:
        if b"-----BEGIN" in content:
            return x509.load_pem_x509_certificates(content)
        return [x509.load_der_x509_certificate(content)]
    except x509.InvalidVersion as e:
        raise ValueError(str(e)) from e


def holds(certificate: x509.Certificate, now: dt.datetime) -> bool:
    """Whether it is neither expired nor yet to come."""
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def p256_key(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey | None:
    """Its key if it is one that may sign orders; None else."""
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None  # of a kind that this library does not know, such as SM2
    is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    return key if is_p256 else None  # type: ignore[return-value] # it is one
