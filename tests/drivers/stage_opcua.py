"""The OPC UA driver before the contract suite: asyncua's own server, encrypted, and without any security."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from functools import partial
from pathlib import Path

import source_contract as contract
from asyncua import Server, ua
from source_contract import A, Subject, wire_to

from drivers import opcua
from drivers.kit.contract import Post, Source
from drivers.kit.scan import Device, Point
from hil.pki import opcua_application
from hil.ports import free_port

NAMESPACE = "urn:plantgate:test"
SERVER_URI = "urn:plantgate:test:server"
NODES = ("level", "gas")
POINTS = (
    *(Point(name, f"nsu={NAMESPACE};s={name}") for name in NODES),
    Point("missing", f"nsu={NAMESPACE};s=missing"),
)
FASTER = {"KEEP_ALIVE_S": 0.3, "GRACE_S": 0.6, "BACKOFF_MAX_S": 1.0}
"""The driver's own times, shortened: the suite waits for each of them again and again."""
SILENT_S = 1.5
"""Two keep-alives and the grace, or period and time-out, and what the watch's own grid adds."""
PERIOD_S = 0.1
CHANGE_S = 0.005
POLICIES = {
    False: ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
    True: ua.SecurityPolicyType.NoSecurity,
}


@contextmanager
def faster() -> Iterator[None]:
    usual = {name: getattr(opcua, name) for name in FASTER}
    try:
        for name, value in FASTER.items():
            setattr(opcua, name, value)
        yield
    finally:
        for name, value in usual.items():
            setattr(opcua, name, value)


@asynccontextmanager
async def server(folder: Path, *, insecure: bool, mode: str) -> AsyncIterator[Subject]:
    theirs = opcua_application(folder, "server", SERVER_URI)
    ours = opcua_application(folder, "gateway", "urn:plantgate:test:gateway")
    far = Server()
    await far.init()
    port = free_port()
    far.set_endpoint(f"opc.tcp://127.0.0.1:{port}/plant")
    await far.set_application_uri(SERVER_URI)
    far.set_security_policy([POLICIES[insecure]])
    await far.load_certificate(str(theirs.certificate_der))
    await far.load_private_key(str(theirs.key), format="pem")
    index = await far.register_namespace(NAMESPACE)
    single = ua.VariantType.Float
    nodes = [
        await far.nodes.objects.add_variable(f"ns={index};s={name}", name, A, varianttype=single)
        for name in NODES
    ]

    async def put(number: float) -> None:
        for node in nodes:
            await far.write_attribute_value(node.nodeid, ua.DataValue(ua.Variant(number, single)))

    @asynccontextmanager
    async def restless(one: float, other: float) -> AsyncIterator[None]:
        async def change() -> None:
            while True:
                for number in (one, other):
                    await put(number)
                    await asyncio.sleep(CHANGE_S)

        changing = asyncio.create_task(change())
        try:
            yield
        finally:
            changing.cancel()
            with suppress(asyncio.CancelledError):
                await changing

    await put(A)
    await far.start()
    try:
        async with AsyncExitStack() as stack:
            stack.enter_context(faster())
            wire = await stack.enter_async_context(wire_to(port))

            def make(post: Post) -> Source:
                options = opcua.Options(
                    f"opc.tcp://127.0.0.1:{wire.port}/plant",
                    insecure=insecure,
                    certificate=ours.certificate,
                    private_key=ours.key,
                    trusted=theirs.certificate,
                    rejected=folder / "rejected",
                    mode=mode,
                    sampling_ms=50.0,
                    publishing_ms=50.0,
                    timeout_s=0.5,
                )
                return opcua.connect(Device("gds", POINTS, PERIOD_S), options, post)

            yield Subject(
                make=make,
                line=wire,
                silent_s=SILENT_S,
                period_s=PERIOD_S,
                put=put,
                truth=lambda number: [number] * len(NODES) + [math.nan],
                restless=restless,
                has_checksum=not insecure,
            )
    finally:
        await far.stop()


STAGES = {
    "opcua": (
        partial(server, insecure=False, mode="subscribe"),
        contract.OF_EVERY_SOURCE + contract.OF_A_WIRE,
    ),
    "opcua-poll": (
        partial(server, insecure=False, mode="poll"),
        contract.OF_EVERY_SOURCE + contract.OF_A_POLLED_SOURCE + contract.OF_A_WIRE,
    ),
    "opcua-insecure": (
        partial(server, insecure=True, mode="subscribe"),
        (
            contract.hostile_answers_give_a_cause_and_never_a_number,
            contract.an_old_answer_is_never_taken_for_a_new_one,
        ),
    ),
}
