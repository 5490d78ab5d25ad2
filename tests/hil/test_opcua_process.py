"""The OPC UA PLC in a process of its own: killed and back at the same port, its log outliving the kill."""

import asyncio
import json
import os
import sys
from collections import Counter

import pytest
from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.crypto.uacrypto import CertProperties

from hil.opcua_follow import BARE, DRIVER, FollowPlan
from hil.opcua_plc import APPLICATION_URI, NAMESPACE_URI
from hil.opcua_process import OpcuaProcess, item_name
from hil.pki import opcua_application
from hil.processes import start

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


async def written(plc, pki):
    """A write planted on the link."""
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
        node = link.get_node(f"ns={await link.get_namespace_index(NAMESPACE_URI)};s={item_name(0)}")
        with pytest.raises(ua.UaStatusCodeError):
            await node.write_value(1.0)


def test_both_followers_take_what_it_hands_over_and_its_log_outlives_a_kill(tmp_path, pki):
    own, client = pki

    async def story():
        plc = OpcuaProcess(tmp_path, own, [client.fingerprint], ITEMS, period_s=0.2)
        try:
            await plc.start()
            for who in (BARE, DRIVER):
                handed = len(plc.sent().item)
                plan = FollowPlan(
                    who=who,
                    url=plc.url,
                    certificate=str(client.certificate),
                    key=str(client.key),
                    server=str(own.certificate_der),
                    application_uri=CLIENT_URI,
                    items=ITEMS,
                    interval_ms=200,
                )
                plan.write(tmp_path / "follow.json")
                with (tmp_path / "said-by-follower").open("wb") as out:
                    argv = [sys.executable, "-m", "hil.opcua_follow", str(tmp_path / "follow.json")]
                    tree = start(argv, log=tmp_path / "follow.log", stdout=out.fileno())
                await until(lambda handed=handed: len(plc.sent().item) >= handed + 4 * ITEMS)
                assert await tree.stop() == 0, (tmp_path / "follow.log").read_text()
                taken = json.loads((tmp_path / "said-by-follower").read_bytes())["values"]
                assert 3 * ITEMS <= taken <= len(plc.sent().item) - handed
            sent, before = plc.sent(), plc.listening_ns
            assert set(sent.item.tolist()) == set(range(ITEMS))
            assert max(Counter(zip(sent.item.tolist(), sent.source_ns.tolist(), strict=True)).values()) == 1
            assert plc.writes_seen == 0
            await written(plc, pki)
            await until(lambda: plc.writes_seen == 1)
            await plc.kill()
            with pytest.raises(OSError, match="Connect call failed"):
                await asyncio.open_connection("127.0.0.1", plc.port)
            await plc.start()
            assert plc.listening_ns[0] == before[0]
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
