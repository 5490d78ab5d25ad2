"""The camera driver before the contract suite of cameras."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import camera_contract as contract
from camera_contract import CameraSubject
from source_contract import wire_to

from drivers import camera
from drivers.kit.contract import Camera
from hil.camera_sim import CameraSim
from hil.onvif_sim import OnvifSim
from hil.rtsp_camera import RtspCamera

TIMEOUT_S = 1.0
STREAM_TIMEOUT_S = 5.0


@asynccontextmanager
async def http(_folder: Path) -> AsyncIterator[CameraSubject]:
    async with CameraSim("tank", lambda: 50.0) as sim, wire_to(sim.port) as wire:

        def make() -> Camera:
            url = f"http://127.0.0.1:{wire.port}/snap.jpg"
            return camera.connect("cam1", camera.Options(url, timeout_s=TIMEOUT_S))

        yield CameraSubject(make=make, line=wire, timeout_s=TIMEOUT_S, shown=lambda: sim.served)


@asynccontextmanager
async def onvif(folder: Path) -> AsyncIterator[CameraSubject]:
    password = folder / "password"
    password.write_text("secret", encoding="utf-8")
    password.chmod(0o600)
    async with CameraSim("tank", lambda: 50.0) as sim, wire_to(sim.port) as wire:
        here = f"http://127.0.0.1:{wire.port}"
        sim.onvif = OnvifSim(lambda _: f"{here}/snap.jpg", f"{here}/onvif/media", "viewer", "secret")

        def make() -> Camera:
            service = f"{here}/onvif/device_service"
            options = camera.Options(
                service, onvif=True, username="viewer", password_file=password, timeout_s=TIMEOUT_S
            )
            return camera.connect("cam1", options)

        yield CameraSubject(make=make, line=wire, timeout_s=TIMEOUT_S, shown=lambda: sim.served)


@asynccontextmanager
async def rtsp(folder: Path) -> AsyncIterator[CameraSubject]:
    async with RtspCamera(folder) as sim, wire_to(sim.port) as wire:

        def make() -> Camera:
            url = f"rtsp://127.0.0.1:{wire.port}/cam"
            return camera.connect("cam1", camera.Options(url, timeout_s=STREAM_TIMEOUT_S))

        yield CameraSubject(make=make, line=wire, timeout_s=STREAM_TIMEOUT_S)


STAGES = {
    "camera-http": (http, contract.OF_EVERY_CAMERA + contract.OF_A_WIRE),
    "camera-onvif": (onvif, contract.OF_EVERY_CAMERA + contract.OF_A_WIRE),
    "camera-rtsp": (rtsp, contract.OF_EVERY_CAMERA),
}
"""What a stream shows is made into a JPEG on this side: whether it is the true one cannot be told by a hash."""
