"""The host driver before the contract suite: its device is a folder of files that can hang."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import source_contract as contract
from hostile_box import Kernel
from source_contract import Subject

PERIOD_S = 0.1


@asynccontextmanager
async def this_box(folder: Path) -> AsyncIterator[Subject]:
    kernel = Kernel(folder)
    readings = ("memory.available", "cpu.temperature", "power.fail", "link.eth0", "disk.wear")
    yield Subject(
        make=lambda post: kernel.source(readings, post, period_s=PERIOD_S, timeout_s=0.5),
        line=kernel,
        silent_s=0.5 + PERIOD_S,
        period_s=PERIOD_S,
    )
    await kernel.mend()


STAGES = {"host": (this_box, contract.OF_EVERY_SOURCE + contract.OF_A_POLLED_SOURCE)}
