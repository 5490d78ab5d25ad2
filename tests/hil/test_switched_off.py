"""A PLC without power neither answers nor refuses; with power again it is there at once."""

import asyncio

import pytest

from hil.answers import AnswerLog
from hil.modbus_plc import ModbusPlc, Unit
from hil.switched_off import SwitchedOff


def test_nothing_is_heard_until_the_power_is_back():
    async def story():
        async with ModbusPlc({1: Unit("plc")}, AnswerLog()) as plc:
            await plc.refuse()
            with pytest.raises(ConnectionRefusedError):
                await asyncio.open_connection(plc.host, plc.port)
            with SwitchedOff(plc.port):
                for _ in range(3):
                    with pytest.raises(TimeoutError):
                        async with asyncio.timeout(0.2):
                            await asyncio.open_connection(plc.host, plc.port)
            await plc.accept()
            _, writer = await asyncio.open_connection(plc.host, plc.port)
            writer.close()
            await writer.wait_closed()

    asyncio.run(story())
