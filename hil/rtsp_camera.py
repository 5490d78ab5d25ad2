"""A camera's RTSP stream: GStreamer's RTSP server (Debian packages) playing a clip. Touches one process and sockets.

Run as a script by Debian's own Python, which has GStreamer's bindings, this file is that server; imported, it
starts and stops it. Nothing of this house speaks RTSP here, so the driver meets a foreign implementation.
Debian packages: python3-gi, gir1.2-gst-rtsp-server-1.0, gstreamer1.0-plugins-good, ffmpeg (makes the clip).
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

SYSTEM_PYTHON: Final = "/usr/bin/python3"
START_S: Final = 30.0
CLIP_S: Final = 20
RATE_FPS: Final = 10
ROLE: Final = "viewer"

Scene: TypeAlias = Literal["moving", "still", "black"]
SCENES: Final[dict[Scene, str]] = {
    "moving": "testsrc2=size=640x360",
    "still": "color=size=640x360:color=steelblue",
    "black": "color=size=640x360:color=black",
}
"""What the camera looks at, as sources of ffmpeg."""
Login: TypeAlias = Literal["", "basic", "digest"]


class RtspCameraError(Exception):
    """The clip or the server did not come about; says what the tool said."""


class RtspCamera:
    """One RTSP camera.

    Args:
        folder: for the clip.
        scene: what it shows.
        login: how a user proves itself; "" asks for none.
        username: who may look.
        password: travels by stdin, for a command line is public.

    Attributes:
        port: where it listens.
    """

    def __init__(
        self,
        folder: Path,
        *,
        scene: Scene = "moving",
        login: Login = "",
        username: str = "viewer",
        password: str = "",
    ) -> None:
        self._clip = folder / f"{scene}.mkv"
        self._scene: Scene = scene
        self._login = login
        self._words = (login, username, password)
        self._process: asyncio.subprocess.Process | None = None
        self.port = 0

    @property
    def url(self) -> str:
        """The stream's address."""
        return f"rtsp://127.0.0.1:{self.port}/cam"

    async def __aenter__(self) -> Self:
        if not self._clip.exists():
            await _make_clip(self._clip, SCENES[self._scene])
        self._process = await asyncio.create_subprocess_exec(
            SYSTEM_PYTHON,
            __file__,
            str(self._clip),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write("".join(f"{word}\n" for word in self._words).encode())
            async with asyncio.timeout(START_S):
                self.port = _port(await self._process.stdout.readline())
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    async def _end(self) -> None:
        process = self._process
        assert process is not None
        if process.returncode is None:
            process.kill()
        await process.communicate()


def _port(line: bytes) -> int:
    if not line:
        packages = "python3-gi gir1.2-gst-rtsp-server-1.0 gstreamer1.0-plugins-good"
        raise RtspCameraError(f"the RTSP server did not start; are Debian's {packages} installed?")
    return int(line)


async def _make_clip(path: Path, source: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-nostdin", "-loglevel", "error", "-f", "lavfi", "-i", f"{source}:rate={RATE_FPS}"),
        *("-t", str(CLIP_S), "-c:v", "libx264", "-preset", "ultrafast", "-g", str(RATE_FPS)),
        *("-pix_fmt", "yuv420p", "-y", str(path)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, said = await process.communicate()
    if process.returncode:
        raise RtspCameraError(f"ffmpeg made no clip: {said.decode(errors='replace').strip()}")


def _serve(clip: str, login: str, username: str, password: str) -> None:
    """Be the server until killed; prints its port."""
    import gi  # type: ignore[import-not-found]  # noqa: PLC0415 - Debian's Python has it, the environment does not

    gi.require_version("Gst", "1.0")
    gi.require_version("GstRtsp", "1.0")
    gi.require_version("GstRtspServer", "1.0")
    from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # type: ignore[import-not-found]  # noqa: PLC0415

    Gst.init(None)
    server: Any = GstRtspServer.RTSPServer()
    server.set_address("127.0.0.1")
    server.set_service("0")
    factory = GstRtspServer.RTSPMediaFactory()
    factory.set_launch(
        f'( filesrc location="{clip}" ! matroskademux ! rtph264pay name=pay0 config-interval=1 )'
    )
    if login:
        auth = GstRtspServer.RTSPAuth()
        token = GstRtspServer.RTSPToken()
        token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
        if login == "basic":
            auth.add_basic(GstRtspServer.RTSPAuth.make_basic(username, password), token)
        else:
            auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
            auth.add_digest(username, password, token)
        server.set_auth(auth)
        permissions = GstRtspServer.RTSPPermissions()
        for what in (
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
            GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
        ):
            permissions.add_permission_for_role(ROLE, what, True)
        factory.set_permissions(permissions)
    server.get_mount_points().add_factory("/cam", factory)
    server.attach(None)
    print(server.get_bound_port(), flush=True)
    GLib.MainLoop().run()


if __name__ == "__main__":
    _serve(sys.argv[1], *(sys.stdin.readline().rstrip("\n") for _ in range(3)))
