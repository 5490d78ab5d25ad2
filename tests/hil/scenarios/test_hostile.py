"""Twenty thousand hostile answers; drivers that believe what comes, believe nothing, or write must fail."""

from __future__ import annotations

import asyncio
import time
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

from drivers import modbus
from drivers.kit.contract import SourceState
from drivers.kit.quality import GOOD, Cause, bad, is_good
from drivers.kit.scan import Scan
from hil.scenarios import hostile


@pytest.mark.scenario
def test_nothing_invalid_is_believed():
    figures = asyncio.run(hostile.run(long=False))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["answers"] >= hostile.SHORT_ANSWERS
    assert figures["modbus_writes_seen"] == 0
    assert figures["right_believed"]["tcp"] > 100
    assert figures["right_believed"]["rtu_over_tcp"] > 0
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


CALM = 20
"""So many sound answers in a row do not come by chance among attacks, and soon come from an honest device."""


def timid(device, options, post):
    """A driver that believes nothing until all has been well for long: it recovers, and reads nothing under attack."""
    sound = 0

    def wary(scan):
        nonlocal sound
        sound = sound + 1 if is_good(scan.quality).any() else 0
        if sound < CALM:
            lost = np.full_like(scan.quality, bad(Cause.COMM))
            scan = replace(scan, values=np.full_like(scan.values, np.nan), quality=lost)
        post(scan)

    return modbus.connect(device, options, wary)


def test_a_driver_that_believes_nothing_under_attack_fails():
    figures = asyncio.run(hostile.play(1_000, {"tcp": 16, "rtu_over_tcp": 16}, timid))
    assert figures["verdict"] == "fail"
    assert figures["recovered"] == figures["sources"]
    assert [one.split(" of ")[0] for one in figures["problems"]] == ["tcp: 0", "rtu_over_tcp: 0"]


class Writer(Believer):
    """Writes a register."""

    async def poll(self, reader, writer):
        writer.write(bytes.fromhex("000100000006070600000001"))
        await super().poll(reader, writer)


def test_a_driver_that_writes_fails():
    figures = asyncio.run(hostile.play(50, {"tcp": 4}, Writer))
    assert figures["modbus_writes_seen"] >= 4
    assert any("do more than read" in one for one in figures["problems"])
