"""The two followers whose CPU is compared take what the server hands over, and say how much."""

import asyncio
import json
import sys

import pytest

from hil.opcua_follow import BARE, DRIVER, FollowPlan
from hil.opcua_plc import APPLICATION_URI
from hil.opcua_process import OpcuaProcess
from hil.pki import opcua_application
from hil.processes import start

CLIENT_URI = "urn:plantgate:test:follower"
ITEMS = 5


@pytest.mark.parametrize("who", [BARE, DRIVER])
def test_a_follower_takes_what_is_handed_over(tmp_path, who):
    own = opcua_application(tmp_path, "plc", APPLICATION_URI)
    client = opcua_application(tmp_path, "client", CLIENT_URI)

    async def story():
        plc = OpcuaProcess(tmp_path, own, [client.fingerprint], ITEMS, period_s=0.2)
        try:
            await plc.start()
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
            async with asyncio.timeout(30):
                while len(plc.sent().item) < 4 * ITEMS:
                    await asyncio.sleep(0.05)
            assert await tree.stop() == 0, (tmp_path / "follow.log").read_text()
            taken = json.loads((tmp_path / "said-by-follower").read_bytes())["values"]
            assert 3 * ITEMS <= taken <= len(plc.sent().item)
            assert set(plc.sent().item.tolist()) == set(range(ITEMS))
            assert plc.writes_seen == 0
        finally:
            plc.close()

    asyncio.run(story())
