"""The record of a real run: nothing stray, nothing missing; a planted stray and a planted hole are seen."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing

from hil.judge import Reading
from hil.recorded import recorded, strays, unrecorded
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan


def test_strays_and_holes_are_seen(tmp_path):
    async def story():
        rows = [{"tag": "plc1.0", "address": "40003"}]
        plan = SitePlan(modbus=[ModbusDevice("plc1", rows, 3)], recipients=("province",), flush_s=0.2)
        async with Site(plan, tmp_path) as site:
            await asyncio.sleep(2.0)
            await site.finish()
            kept = recorded(site)
            assert len(kept.items("start")) == len(kept.items("stop")) == 1
            assert unrecorded(site, kept) == []
            assert strays(site, "province", kept) == []

            kept.readings.discard(Reading("plc1.count", 2))
            assert [(one.device, one.counter) for one in unrecorded(site, kept)] == [("plc1", 2)]

            lane, seq = next(iter(kept.leaves))
            kept.leaves[lane, seq] = "00" * 32
            (stray,) = strays(site, "province", kept)
            assert stray.endswith(f"/{lane}/{seq}")
            with closing(sqlite3.connect(site.stores["province"])) as store:
                keys = {key for (key,) in store.execute("SELECT key FROM message")}
            assert stray in keys

    asyncio.run(story())
