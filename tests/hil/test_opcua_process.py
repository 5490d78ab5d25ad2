"""The OPC UA PLC in a process of its own: killed and back at the same port, its log outliving the kill."""

import asyncio
import contextlib
import os
from collections import Counter

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from hil.opcua_plc import APPLICATION_URI, NAMESPACE_URI
from hil.opcua_process import OpcuaProcess, item_name
from hil.pki import opcua_application

CLIENT_URI = "urn:plantgate:test:follower"
ITEMS = 5


@pytest.fixture
def pki(tmp_path):
    own = opcua_application(tmp_path, "plc", APPLICATION_URI)
    return own, opcua_application(tmp_path, "client", CLIENT_URI)


async def until(holds):
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def connected(plc, pki):
    own, client = pki
    link = Client(plc.url, timeout=4)
    link.application_uri = CLIENT_URI
    await link.set_security(
        SecurityPolicyBasic256Sha256,
        client.certificate,
        CertProperties(client.key, "pem"),
        server_certificate=own.certificate,
        mode=ua.MessageSecurityMode.SignAndEncrypt,
    )
    async with link:
        yield link


class Deaf:
    def datachange_notification(self, node, value, data):
        pass


def test_its_log_outlives_a_kill_and_it_comes_back_at_the_same_port(tmp_path, pki):
    own, client = pki

    async def story():
        plc = OpcuaProcess(tmp_path, own, [client.fingerprint], ITEMS, period_s=0.2)
        try:
            await plc.start()
            async with connected(plc, pki) as link:
                index = await link.get_namespace_index(NAMESPACE_URI)
                nodes = [link.get_node(f"ns={index};s={item_name(item)}") for item in range(ITEMS)]
                subscription = await link.create_subscription(100, Deaf())
                await subscription.subscribe_data_change(nodes)
                await until(lambda: len(plc.sent().item) >= 4 * ITEMS)
                with pytest.raises(ua.UaStatusCodeError):
                    await nodes[0].write_value(1.0)
            await until(lambda: plc.writes_seen == 1)
            sent, begun = plc.sent(), plc.listening_ns
            assert set(sent.item.tolist()) == set(range(ITEMS))
            assert max(Counter(zip(sent.item.tolist(), sent.source_ns.tolist(), strict=True)).values()) == 1
            assert begun[0] < sent.mono_ns[0] <= sent.mono_ns[-1]
            await plc.kill()
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection("127.0.0.1", plc.port)
            await plc.start()
            assert plc.listening_ns[0] == begun[0]
            assert len(plc.listening_ns) == 2
            assert len(plc.sent().item) == len(sent.item)
            assert plc.writes_seen == 1
        finally:
            plc.close()

    asyncio.run(story())


def test_closing_it_leaves_no_process(tmp_path, pki):
    own, client = pki

    async def story():
        plc = OpcuaProcess(tmp_path, own, [client.fingerprint], ITEMS)
        await plc.start()
        pids = plc._program.tree.pids()
        plc.close()
        for pid in pids:
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)

    asyncio.run(story())
