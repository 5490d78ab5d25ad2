"""The example driver before the contract suite: it shows that the suite can be passed, and by how little."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import source_contract as contract
from added import gauge
from float_registers import PERIOD_S, registers_device
from source_contract import Subject

from drivers.kit.contract import Post, Source
from drivers.kit.scan import Device, Point

GAUGES = (Point("a", "0"), Point("b", "100"))


@asynccontextmanager
async def gauges(_folder: Path, kind: type[gauge.GaugeSource] = gauge.GaugeSource) -> AsyncIterator[Subject]:
    def make(port: int, post: Post) -> Source:
        options = gauge.Options("127.0.0.1", port, timeout_s=0.3)
        return kind(Device("hall", GAUGES, PERIOD_S), options, post)

    async with registers_device(make, len(GAUGES), 0.3 + PERIOD_S) as subject:
        yield subject


STAGES = {"gauge": (gauges, contract.OF_EVERY_SOURCE + contract.OF_A_POLLED_SOURCE + contract.OF_A_WIRE)}
