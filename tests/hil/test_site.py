"""A whole site comes up from nothing, can be taken apart and put together again, and leaves nothing behind."""

import asyncio
import time

import pytest

from hil.program import ProgramError
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan
from hil.verdict import judge_site


def plan(**more):
    rows = [{"tag": f"plc1.{i}", "address": f"4{i + 3:04d}"} for i in range(5)]
    return SitePlan(modbus=[ModbusDevice("plc1", rows, 7, period_s=0.2)], recipients=("province",), **more)


def test_no_process_is_left(finished):
    assert finished[2] == []


def test_every_part_can_be_killed_and_comes_back_and_only_the_promised_is_missing():
    async def story():
        async with Site(plan()) as site:
            await asyncio.sleep(2)
            site.kill_broker("province")
            await asyncio.sleep(0.5)
            from_ns = time.monotonic_ns() - 2_000_000_000
            site.gateway.kill()
            assert not site.gateway.running
            await site.restart_broker("province")
            to_ns = time.monotonic_ns()  # an answer that was on the road when it died is lost too
            await site.start_gateway()
            await site.reboot("plc1", 0.5)
            await asyncio.sleep(2)
            await site.finish()
            return site, judge_site(site, [(from_ns, to_ns)])

    site, judgement = asyncio.run(story())
    assert judgement.problems() == []
    assert site.backlog == {"province": 0}
    assert len(site.outages["province"]) == 1
    assert not site.folder.exists()


def test_a_gateway_that_cannot_start_is_said_with_its_own_words(tmp_path):
    async def story():
        async with Site(plan(storage_settings={"retention_days": 1}), tmp_path / "site"):
            raise AssertionError("it must not come up")

    with pytest.raises(ProgramError, match="retention_days"):
        asyncio.run(story())
    assert (tmp_path / "site" / "gateway.toml").exists(), "a folder that was given is kept"
