"""The camera driver before the contract suite of cameras."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import camera_contract as contract
from camera_contract import CameraSubject
from source_contract import wire_to

from drivers import camera
from hil.camera_sim import CameraSim

TIMEOUT_S = 1.0


@asynccontextmanager
async def http(_folder: Path) -> AsyncIterator[CameraSubject]:
    async with CameraSim("tank", lambda: 50.0) as sim, wire_to(sim.port) as wire:

        def make() -> camera.Camera:
            url = f"http://127.0.0.1:{wire.port}/snap.jpg"
            return camera.connect("cam1", camera.Options(url, timeout_s=TIMEOUT_S))

        yield CameraSubject(make=make, line=wire, timeout_s=TIMEOUT_S, shown=lambda: sim.served)


STAGES = {"camera": (http, contract.OF_EVERY_CAMERA + contract.OF_A_WIRE)}
