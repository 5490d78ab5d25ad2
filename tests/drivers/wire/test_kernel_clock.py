"""The kernel's word on this machine's clock: it is asked, and nothing is set."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from drivers.wire import kernel_clock

REFUSED = """
import ctypes, struct
from drivers.wire import kernel_clock
libc = ctypes.CDLL(None, use_errno=True)
EPERM = 0x00050001
numbers = {calls}
def line(code, jt, jf, k): return struct.pack("HBBI", code, jt, jf, k)
lines = [line(0x20, 0, 0, 0)]
for i, number in enumerate(numbers):
    lines.append(line(0x15, len(numbers) - i, 0, number))
lines += [line(0x06, 0, 0, 0x7FFF0000), line(0x06, 0, 0, EPERM)]
code = ctypes.create_string_buffer(b"".join(lines))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(lines), ctypes.addressof(code)))
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, program) == 0
print(kernel_clock.sync())
"""
"""A process under a filter like that of ``ProtectClock=``: (clock_)adjtime answers EPERM (seccomp(2))."""
CALLS = {"x86_64": (159, 305), "aarch64": (171, 266)}
"""adjtimex and clock_adjtime."""


def test_the_kernel_tells_how_its_clock_is() -> None:
    told = kernel_clock.sync()
    assert told is not None
    assert 0 <= told.verdict <= 5
    assert told.maxerror_us >= 0
    assert told.synchronised in (True, False)


@pytest.mark.skipif(
    os.uname().machine not in CALLS, reason="the numbers of the calls are known for two machines"
)
def test_where_the_kernel_may_not_be_asked_there_is_no_answer() -> None:
    script = REFUSED.format(calls=CALLS[os.uname().machine])
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "None"


def test_timesyncds_mark_is_the_time_it_was_touched(tmp_path: Path) -> None:
    mark = tmp_path / "synchronized"
    assert kernel_clock.mark_ns(mark) is None
    mark.touch()
    os.utime(mark, ns=(1, 1_800_000_000 * 10**9))
    assert kernel_clock.mark_ns(mark) == 1_800_000_000 * 10**9
