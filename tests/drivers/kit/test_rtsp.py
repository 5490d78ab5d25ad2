"""What ffmpeg is told where others can read it, and what its words mean."""

from __future__ import annotations

import pytest

from drivers.kit.quality import Cause
from drivers.kit.rtsp import ARGUMENTS, failure, script

SAID = b"[rtsp @ 0x55] method DESCRIBE failed: 401 Unauthorized\nImpossible to open 'rtsp://admin:geheim@cam/1'\n"


def test_arguments_only_read_and_hold_no_address():
    assert ARGUMENTS[ARGUMENTS.index("-i") + 1] == "pipe:0"
    assert ARGUMENTS[-1] == "pipe:1"
    assert "-y" not in ARGUMENTS
    assert not any("rtsp://" in argument for argument in ARGUMENTS)


def test_the_script_is_one_address_and_options():
    lines = script("rtsp://u:p@cam/1").decode().splitlines()
    assert lines[0] == "file 'rtsp://u:p@cam/1'"
    assert all(line.startswith("option ") for line in lines[1:])


@pytest.mark.parametrize(
    ("said", "cause"),
    [
        (SAID, Cause.REFUSED),
        (b"tcp://cam: Connection refused", Cause.COMM),
        (b"", Cause.GARBLED),
        (b"geheim", Cause.GARBLED),
    ],
)
def test_its_words_are_understood_and_never_repeated(said, cause):
    found, meaning = failure(said)
    assert found is cause
    assert "geheim" not in meaning
