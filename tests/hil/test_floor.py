"""The floor against a real broker and a PLC: it does the work it is measured by, or says that it could not."""

import asyncio
import json
import sys

from hil.answers import AnswerLog
from hil.broker import Broker
from hil.floor import FloorDevice, FloorPlan
from hil.modbus_plc import ModbusPlc, Unit
from hil.processes import start

ROOT = "plantgate/1/site/gateway"


async def floor(tmp_path, plc_port, broker, seconds):
    (tmp_path / "message").write_bytes(b"x" * 300_000)
    plan = FloorPlan(
        devices=(FloorDevice("127.0.0.1", plc_port, 3),),
        registers=102,
        period_s=0.1,
        flush_s=0.1,
        host=broker.host,
        port=broker.port,
        ca=str(broker.authority.ca_file),
        certificate=str(broker.gateway.certificate),
        private_key=str(broker.gateway.key),
        client_id="site/gateway",
        topic=f"{ROOT}/reading",
        receipt_topic=f"{ROOT}/receipt/receiver",
        payload=str(tmp_path / "message"),
    )
    plan.write(tmp_path / "plan.json")
    assert FloorPlan.read(tmp_path / "plan.json") == plan
    said = tmp_path / "said"
    with said.open("wb") as out:
        argv = [sys.executable, "-m", "hil.floor", str(tmp_path / "plan.json")]
        tree = start(argv, log=tmp_path / "log", stdout=out.fileno())
    try:
        async with asyncio.timeout(30):
            while tree.returncode is None and not await seconds():
                await asyncio.sleep(0.05)
    finally:
        status = await tree.stop()
    return status, said.read_text(), (tmp_path / "log").read_text()


def test_it_reads_every_round_and_has_every_message_acknowledged(tmp_path):
    async def story():
        log = AnswerLog()
        async with Broker(tmp_path / "broker") as broker, ModbusPlc({1: Unit("plc", 102)}, log) as plc:

            async def enough():
                return len(log) >= 20

            status, said, talk = await floor(tmp_path, plc.port, broker, enough)
            assert status == 0, talk
            done = json.loads(said)
            assert done["answers"] == len(log)
            assert done["published"] > 5
            assert done["published"] - 1 <= done["pubacks"] <= done["published"]
            assert done["tls"][1].startswith("TLSv1.")
            assert plc.writes_seen == 0

    asyncio.run(story())


def test_a_floor_that_cannot_read_fails_instead_of_being_cheap(tmp_path):
    async def story():
        log = AnswerLog()
        async with Broker(tmp_path / "broker") as broker, ModbusPlc({1: Unit("plc", 102)}, log) as plc:

            async def gone():
                if len(log) >= 3:
                    await plc.refuse()
                return False

            status, said, talk = await floor(tmp_path, plc.port, broker, gone)
            assert status not in {0, -15}
            assert said == ""
            assert "a PLC is gone" in talk

    asyncio.run(story())
