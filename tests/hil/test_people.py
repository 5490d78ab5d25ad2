"""What people do with the installed commands reaches a real gateway, and what it refuses is said."""

import asyncio

import pytest

from hil import people
from hil.program import ProgramError
from hil.site import Site
from hil.site_plan import ModbusDevice, SitePlan

PLAN = SitePlan(
    modbus=[ModbusDevice("plc1", [{"tag": "LT-1", "address": "40003", "h": 10}], 3, period_s=0.2)],
    recipients=("bureau",),
    orders_from=("bureau",),
)
WARNED = people.Warned("W-1", "red", "gas rises", "act", ("LT-1",), 600.0)


async def until(site, shown):
    for _ in range(100):
        status = await site.status()
        if shown(status):
            return status
        await asyncio.sleep(0.1)
    raise AssertionError("it never came")


def test_they_warn_answer_and_shelve_and_hear_what_is_refused():
    async def story():
        async with Site(PLAN) as site:
            await people.warn(site, "bureau", WARNED)
            status = await until(site, lambda status: status["warnings"])
            (warning,) = status["warnings"]
            assert (warning["name"], warning["state"]) == ("bureau/W-1", "unanswered")
            assert warning["left_s"] > 500
            await people.answer(site, "W-1", "a seal", "shut")
            await until(site, lambda status: status["warnings"][0]["state"] == "answered")
            await people.shelve(site, "LT-1", 1.5, "it is cleaned")
            await until(site, lambda status: status["held"]["shelved"] == 1)
            await until(site, lambda status: status["held"]["shelved"] == 0)
            with pytest.raises(ProgramError, match="ended with"):
                await people.shelve(site, "LT-9", 1.5, "nobody knows it")
            await site.finish()

    asyncio.run(story())
