"""Follows an OPC UA server in a process of its own, so that its CPU can be told: the driver, or bare asyncua.

Run as ``python -m hil.opcua_follow PLAN.json``; SIGTERM ends it and it says on stdout what it did.

``driver``: ``drivers.opcua`` as the gateway makes it, its scans counted and dropped. ``bare``: an asyncua client with
one subscription of the same nodes, intervals and queue size, whose callback takes each decoded answer, counts its
values and drops it. asyncua's usual way, a handler called once per value in a task of its own, costs more; it is no
floor.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.attribute_ids import AttributeIds

from drivers import opcua
from drivers.kit.scan import Device, Point, Scan
from hil.opcua_plc import NAMESPACE_URI
from hil.opcua_process import item_name

DRIVER: Final = "driver"
BARE: Final = "bare"
TIMEOUT_S: Final = 10.0
KEEP_ALIVES: Final = 10


@dataclass(frozen=True, slots=True)
class FollowPlan:
    """What is followed, and by whom.

    Attributes:
        who: ``DRIVER`` or ``BARE``.
        url: the server.
        certificate, key: own certificate and key; DER or PEM for the driver, PEM for bare asyncua.
        server: the server's certificate, DER.
        application_uri: as in the own certificate.
        items: so many of ``opcua_process.item_name``.
        interval_ms: sampling and publishing interval.
    """

    who: str
    url: str
    certificate: str
    key: str
    server: str
    application_uri: str
    items: int
    interval_ms: float

    def write(self, path: Path) -> None:
        """Save it for the process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")


class Tally:
    """How much came."""

    def __init__(self) -> None:
        self.values = 0
        self.answers = 0

    def scan(self, scan: Scan) -> None:
        """Count the driver's."""
        self.values += len(scan.points)
        self.answers += 1

    async def publish(self, result: Any) -> None:
        """Count bare asyncua's."""
        for data in result.NotificationMessage.NotificationData or ():
            self.values += len(data.MonitoredItems)
        self.answers += 1


def point(item: int) -> Point:
    """The row of the point table that reads an item."""
    name = item_name(item)
    return Point(name, f"nsu={NAMESPACE_URI};s={name}")


async def _driver(plan: FollowPlan, tally: Tally, over: asyncio.Event) -> None:
    options = opcua.Options(
        url=plan.url,
        certificate=Path(plan.certificate),
        private_key=Path(plan.key),
        trusted=Path(plan.server),
        sampling_ms=plan.interval_ms,
        publishing_ms=plan.interval_ms,
    )
    device = Device("plc", tuple(point(item) for item in range(plan.items)))
    running = asyncio.create_task(opcua.connect(device, options, tally.scan).run())
    await over.wait()
    running.cancel()
    await asyncio.wait([running])


async def _bare(plan: FollowPlan, tally: Tally, over: asyncio.Event) -> None:
    client = Client(plan.url, timeout=TIMEOUT_S)
    client.application_uri = plan.application_uri
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        plan.certificate,
        CertProperties(plan.key, "pem"),
        server_certificate=plan.server,
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    async with client:
        session = client.uaclient.session
        index = await client.get_namespace_index(NAMESPACE_URI)
        asked = ua.CreateSubscriptionParameters()
        asked.RequestedPublishingInterval = plan.interval_ms
        asked.RequestedMaxKeepAliveCount = KEEP_ALIVES
        asked.RequestedLifetimeCount = 3 * KEEP_ALIVES
        asked.PublishingEnabled = True
        made = await session.create_subscription(asked, tally.publish)
        items = ua.CreateMonitoredItemsParameters()
        items.SubscriptionId = made.SubscriptionId
        items.TimestampsToReturn = ua.TimestampsToReturn.Both
        items.ItemsToCreate = [_item(item, index, plan.interval_ms) for item in range(plan.items)]
        for result in await session.create_monitored_items(items):
            result.StatusCode.check()
        await over.wait()


def _item(item: int, index: int, sampling_ms: float) -> ua.MonitoredItemCreateRequest:
    request = ua.MonitoredItemCreateRequest()
    request.ItemToMonitor.NodeId = ua.NodeId.from_string(f"ns={index};s={item_name(item)}")
    request.ItemToMonitor.AttributeId = AttributeIds.Value
    request.MonitoringMode = ua.MonitoringMode.Reporting
    request.RequestedParameters.ClientHandle = item
    request.RequestedParameters.SamplingInterval = sampling_ms
    request.RequestedParameters.QueueSize = 1
    request.RequestedParameters.DiscardOldest = True
    return request


async def _follow(plan: FollowPlan) -> dict[str, int]:
    over, tally = asyncio.Event(), Tally()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    follow: Callable[[FollowPlan, Tally, asyncio.Event], Any] = {DRIVER: _driver, BARE: _bare}[plan.who]
    await follow(plan, tally, over)
    return {"values": tally.values, "answers": tally.answers}


def main() -> NoReturn:
    """The process."""
    plan = FollowPlan(**json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    print(json.dumps(asyncio.run(_follow(plan))))
    sys.exit(0)


if __name__ == "__main__":
    main()
