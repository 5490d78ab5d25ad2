"""The driver alone and the bare reads: both do the work they are measured by, or say that they could not."""

import asyncio
import json
import sys

import numpy as np
import pytest

from drivers.kit.pace import SLOTS_PER_PERIOD
from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Device, Scan, missed
from hil.answers import AnswerLog
from hil.column_path import Columns, Plan, Plc
from hil.modbus_plc import COUNTER_REGISTERS, ModbusPlc, Unit
from hil.processes import start

VALUES = 30


async def reading(mode, tmp_path, log, units, until):
    """Exit status, words and talk of a process that read these units until ``until(plc)`` said so."""
    async with ModbusPlc(units, log) as plc:
        plan = Plan(tuple(Plc(plc.host, plc.port, n) for n in units), VALUES, 0.1)
        plan.write(tmp_path / "plan.json")
        assert Plan.read(tmp_path / "plan.json") == plan
        with (tmp_path / "said").open("wb") as out:
            argv = [sys.executable, "-m", "hil.column_path", mode, str(tmp_path / "plan.json")]
            tree = start(argv, log=tmp_path / "log", stdout=out.fileno())
        try:
            async with asyncio.timeout(30):
                while tree.returncode is None and not await until(plc):
                    await asyncio.sleep(0.02)
        finally:
            status = await tree.stop()
        assert plc.writes_seen == 0
    return status, (tmp_path / "said").read_text(), (tmp_path / "log").read_text()


def units(count):
    return {n: Unit(f"plc{n}", COUNTER_REGISTERS + VALUES) for n in range(1, count + 1)}


@pytest.mark.parametrize("mode", ["driver", "bare"])
def test_every_answer_is_taken(mode, tmp_path):
    log = AnswerLog()

    async def enough(plc):
        return len(log) >= 20

    status, said, talk = asyncio.run(reading(mode, tmp_path, log, units(2), enough))
    assert status == 0, talk
    done = json.loads(said)
    assert len(log) - 2 <= done["scans"] <= len(log)
    assert done["bad"] == done["wrong"] == 0


def test_bare_reads_that_cannot_read_fail_instead_of_being_cheap(tmp_path):
    log = AnswerLog()

    async def gone(plc):
        if len(log) >= 3:
            await plc.refuse()
        return False

    status, said, talk = asyncio.run(reading("bare", tmp_path, log, units(1), gone))
    assert status not in {0, -15}
    assert said == ""
    assert "a PLC is gone" in talk


def test_plcs_are_spread_over_the_period_as_the_gateway_spreads_devices():
    plan = Plan(tuple(Plc("127.0.0.1", 502, n) for n in range(100)), VALUES, 1.0)
    slots = [plan.slot(n) for n in range(100)]
    assert slots == sorted(slots)
    assert [slots.count(slot) for slot in range(SLOTS_PER_PERIOD)] == [
        100 // SLOTS_PER_PERIOD
    ] * SLOTS_PER_PERIOD


def test_scans_that_were_not_read_or_say_other_than_their_bytes_are_counted():
    def scan(values, quality):
        raw = bytes.fromhex("0001000000020003")
        return Scan("plc", "", np.arange(3, dtype=np.uint16), np.array(values), quality, 0, 0, None, raw)

    good = np.full(3, GOOD, dtype=np.uint8)
    columns = Columns()
    columns.post(missed(Device("plc", ()), np.arange(3, dtype=np.uint16), Cause.COMM, 0, 0))
    columns.post(scan([65_536, 0.2, 0.3], good))
    assert columns.said() == {"scans": 1, "misses": 1, "bad": 0, "wrong": 0}
    columns.post(scan([65_536, 0.2, np.nan], np.array([GOOD, GOOD, bad(Cause.COMM)], dtype=np.uint8)))
    columns.post(scan([65_536, 0.3, 0.2], good))
    assert columns.said() == {"scans": 3, "misses": 1, "bad": 1, "wrong": 1}
