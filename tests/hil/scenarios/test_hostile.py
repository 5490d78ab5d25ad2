"""Twenty thousand hostile answers in its short form; and a driver that believes what comes must fail."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress

import numpy as np
import pytest

from drivers.kit.contract import SourceState
from drivers.kit.quality import GOOD
from drivers.kit.scan import Scan
from hil.scenarios import hostile


@pytest.mark.scenario
def test_nothing_invalid_is_believed():
    figures = asyncio.run(hostile.run(long=False))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["answers"] >= hostile.SHORT_ANSWERS
    assert figures["believed"] > 100
    assert all(figures["kinds"].values())


class Believer:
    """Takes the last 24 bytes of whatever comes for the registers."""

    def __init__(self, device, options, post):
        self.device, self.options, self.post = device, options, post

    def state(self):
        return SourceState(True, 0, "", {})

    async def read(self):
        raise NotImplementedError

    async def run(self):
        while True:
            with suppress(OSError, TimeoutError):
                reader, writer = await asyncio.open_connection(self.options.host, self.options.port)
                try:
                    await self.poll(reader, writer)
                finally:
                    writer.transport.abort()
            await asyncio.sleep(0.01)

    async def poll(self, reader, writer):
        number = 0
        while True:
            number += 1
            writer.write(number.to_bytes(2, "big") + bytes.fromhex("00000006070300000000")[:8] + b"\0\x0c")
            async with asyncio.timeout(0.05):
                data = await reader.read(1_000)
            if not data:
                return
            words = np.frombuffer(data[-24:].rjust(24, b"\0"), ">u2")
            values = np.array([*words[:5], 1.0, 1.0, 1.0, 0.0])
            points = np.arange(9, dtype=np.uint16)
            quality = np.full(9, GOOD, dtype=np.uint8)
            now = (time.time_ns(), time.monotonic_ns())
            self.post(Scan(self.device.name, "", points, values, quality, *now))


def test_a_driver_that_believes_everything_fails():
    figures = asyncio.run(hostile.play(300, {"tcp": 4}, Believer))
    assert figures["verdict"] == "fail"
    assert figures["breaches"] > 0
