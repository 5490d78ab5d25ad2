"""One whole site that ran once, for all tests that ask what became of it."""

import asyncio
import contextlib
import shutil

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties
from pymodbus.client import AsyncModbusTcpClient

from hil.farm import GAS, Farm
from hil.opcua_plc import NAMESPACE_URI
from hil.site import CLIENT_URI, Site

SECONDS = 3.0


async def plant_modbus_write(site):
    client = AsyncModbusTcpClient("127.0.0.1", port=site.recorders["plc1"].port, retries=0, reconnect_delay=0)
    assert await client.connect()
    try:
        assert (await client.write_register(5, 1, device_id=1)).isError()
    finally:
        client.close()


async def plant_opcua_write(site):
    pki = site.folder / "opcua"
    client = Client(site.opcua.url, timeout=4)
    client.application_uri = CLIENT_URI
    await client.set_security(
        SecurityPolicyBasic256Sha256,
        pki / "gateway.pem",
        CertProperties(pki / "gateway.key", "pem"),
        server_certificate=pki / "plc.pem",
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    async with client:
        index = await client.get_namespace_index(NAMESPACE_URI)
        node = client.get_node(f"ns={index};s={GAS[0]}")
        with pytest.raises(ua.UaStatusCodeError):
            await node.write_value(ua.DataValue(ua.Variant(1.0, ua.VariantType.Double)))


@pytest.fixture(scope="session")
def finished():
    """A site that ran, had a write planted on each link, and ended; its folder is still there."""

    async def story():
        farm = Farm("en")
        async with Site(farm.plan(), keep=True) as site:
            plant = asyncio.create_task(farm.run(site.opcua))
            await asyncio.sleep(SECONDS)
            clean = (sum(one.breaches for one in site.recorders.values()), site.opcua.writes_seen)
            await plant_modbus_write(site)
            await plant_opcua_write(site)
            await site.finish()
            plant.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await plant
            pids = [
                *site.gateway.tree.pids(),
                *(p for one in site.receivers.values() for p in one.tree.pids()),
            ]
            return site, clean, pids

    site, clean, pids = asyncio.run(story())
    yield site, clean, pids
    shutil.rmtree(site.folder)
