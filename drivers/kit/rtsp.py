"""RTSP stills through ffmpeg: what it is told by arguments, and what its last words mean. Decides, touches nothing."""

from __future__ import annotations

from typing import Final

from drivers.kit.quality import Cause

MAX_PIXELS: Final = 40_000_000
MAX_LOGIN: Final = 127
"""User name, password and two signs, percent-encoded: what ffmpeg's RTSP keeps of them."""

ARGUMENTS: Final = (
    *("-hide_banner", "-loglevel", "error", "-nostdin", "-threads", "1"),
    *("-protocol_whitelist", "pipe,rtsp,tcp", "-max_pixels", str(MAX_PIXELS)),
    # only whole pictures of the stream are decoded, never one that builds on others that were missed
    *("-skip_frame", "nokey", "-analyzeduration", "0", "-f", "concat", "-safe", "0", "-i", "pipe:0"),
    *("-map", "0:v:0", "-frames:v", "1", "-c:v", "mjpeg", "-q:v", "3", "-f", "image2pipe", "pipe:1"),
)
"""Every user of the machine can read a process's arguments: no address and no password is here."""

_OPTIONS: Final = (
    "rtsp_transport tcp",
    "analyzeduration 500000",
    "timeout 60000000",  # microseconds: should we fall without a word, ffmpeg does not wait for ever
)
_MEANINGS: Final = (
    (b"401 Unauthorized", Cause.REFUSED, "the camera refuses the user name or password (RTSP 401)"),
    (b"403 Forbidden", Cause.REFUSED, "the camera does not allow this user its stream (RTSP 403)"),
    (b"404 Not Found", Cause.REFUSED, "the camera has no such stream (RTSP 404)"),
    (b"Connection refused", Cause.COMM, "the camera refuses the connection"),
    (b"No route to host", Cause.COMM, "there is no way to the camera"),
    (b"Network is unreachable", Cause.COMM, "there is no way to the camera"),
    (b"Failed to resolve hostname", Cause.COMM, "the camera's name is not known"),
    (b"timed out", Cause.COMM, "the camera does not answer"),
    (b"End of file", Cause.COMM, "the camera ended the stream"),
)


def script(url: str) -> bytes:
    """What ffmpeg reads on its standard input, where nobody else can.

    Args:
        url: with user name and password, percent-encoded, no quotation mark in it.
    """
    return "".join((f"file '{url}'\n", *(f"option {option}\n" for option in _OPTIONS))).encode()


def failure(said: bytes) -> tuple[Cause, str]:
    """What ffmpeg's last words mean; they are never repeated, for they hold the address with the password."""
    for words, cause, meaning in _MEANINGS:
        if words in said:
            return cause, meaning
    return Cause.GARBLED, "ffmpeg finds no picture in what the camera sends"
