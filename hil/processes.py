"""Starts programs in a session of their own, measures them from /proc and ends them. Touches processes only.

Every process of the tree shares the leader's session, so it is found again even when its parent is gone, and
dies with the bench: the leader asks the kernel for SIGKILL at its parent's death, the rest by ``kill``.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

TICK_S: Final = 1.0 / os.sysconf("SC_CLK_TCK")
PAGE_BYTES: Final = os.sysconf("SC_PAGE_SIZE")
POLL_S: Final = 0.02
STOP_TIMEOUT_S: Final = 5.0
KILL_POLL_S: Final = 0.002
KILL_TIMEOUT_S: Final = 5.0

# Places in the text behind the closing bracket of /proc/<pid>/stat (proc(5) counts from 1, state being 3).
_STATE, _SESSION, _CUTIME, _CSTIME, _RSS = 0, 3, 13, 14, 21
_SCHEDULED: Final = 2
"""A process's clock counts what the scheduler gave it, which is finer than ticks (clock_getcpuclockid(3))."""


class ToolMissingError(RuntimeError):
    """A program the bench needs is not installed; the text names the Debian package."""

    def __init__(self, name: str, package: str) -> None:
        super().__init__(f"{name} is not installed. Install it: apt-get install {package}")
        self.name = name
        self.package = package


class StillRunningError(RuntimeError):
    """A process did not end in the time it was given."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a tree of processes used since it started.

    Attributes:
        cpu_s: user and system time of all living processes and of those they waited for.
        rss_bytes: resident memory of all living processes.
        written_bytes: bytes they caused to be sent to block devices.
        context_switches: voluntary and involuntary ones of all living threads.
        processes: how many live.
    """

    cpu_s: float
    rss_bytes: int
    written_bytes: int
    context_switches: int
    processes: int


def find_tool(name: str, package: str) -> str:
    """Absolute path of a program, also where only root's PATH looks.

    Raises:
        ToolMissingError: it is not installed.
    """
    found = shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")
    if found is None:
        raise ToolMissingError(name, package)
    return found


class Tree:
    """A program and everything it starts.

    Args:
        process: leader of its own session, as ``start`` made it.
    """

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Process id of the leader, which is the session id too."""
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Exit status of the leader, negative for a signal, None while it runs."""
        return self._process.poll()

    def pids(self) -> tuple[int, ...]:
        """Every process of the session that still runs (zombies do not)."""
        return tuple(pid for pid, fields in _processes() if _runs_in(self.pid, fields))

    def usage(self) -> Usage:
        """Sums over the tree now; a process that ends meanwhile counts with its parent once that waited."""
        cpu_s = 0.0
        rss_pages = written = switches = count = 0
        for pid, fields in _processes():
            if not _runs_in(self.pid, fields):
                continue
            count += 1
            cpu_s += _cpu_s(pid) + TICK_S * sum(int(field) for field in fields[_CUTIME : _CSTIME + 1])
            rss_pages += int(fields[_RSS])
            written += _labelled_sum(Path(f"/proc/{pid}/io"), "write_bytes")
            for task in _listing(Path(f"/proc/{pid}/task")):
                switches += _labelled_sum(task / "status", "voluntary_ctxt_switches")
                switches += _labelled_sum(task / "status", "nonvoluntary_ctxt_switches")
        return Usage(cpu_s, rss_pages * PAGE_BYTES, written, switches, count)

    def send_signal(self, number: signal.Signals) -> None:
        """To the leader alone; nothing happens when it has ended."""
        if self.returncode is None:
            self._process.send_signal(number)

    async def wait(self, timeout_s: float) -> int:
        """Exit status of the leader.

        Raises:
            StillRunningError: it still runs after ``timeout_s``.
        """
        loop = asyncio.get_running_loop()
        end = loop.time() + timeout_s
        while (status := self.returncode) is None:
            if loop.time() > end:
                raise StillRunningError(f"process {self.pid} still runs after {timeout_s:g} s")
            await asyncio.sleep(POLL_S)
        return status

    def kill(self) -> None:
        """SIGKILL to every process of the session, and wait until none runs.

        Raises:
            StillRunningError: one hangs in the kernel, e.g. on a frozen disk.
        """
        end = time.monotonic() + KILL_TIMEOUT_S
        while running := self.pids():
            if time.monotonic() > end:
                raise StillRunningError(f"processes {running} survive SIGKILL: they hang in the kernel")
            for pid in running:
                _kill(pid)
            time.sleep(KILL_POLL_S)
        self._process.wait(KILL_TIMEOUT_S)

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM to the leader, then time, then ``kill``; returns the leader's exit status."""
        self.send_signal(signal.SIGTERM)
        try:
            return await self.wait(timeout_s)
        except StillRunningError:
            return -int(signal.SIGKILL)
        finally:
            self.kill()


def start(
    argv: Sequence[str],
    *,
    log: Path | None = None,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdout: int | None = None,
) -> Tree:
    """Start a program in a session of its own.

    Args:
        argv: program and arguments.
        log: file to which stdout and stderr are appended; None throws them away.
        env: whole environment; None inherits.
        cwd: folder to run in.
        stdout: an open file descriptor for stdout instead of the log, e.g. the write end of a pipe.

    Raises:
        ToolMissingError: setpriv is missing.
        OSError: the program cannot be started.
    """
    guard = find_tool("setpriv", "util-linux")
    with (log or Path(os.devnull)).open("ab") as talk:
        process = subprocess.Popen(
            [guard, "--pdeathsig", "KILL", "--", *argv],
            stdin=subprocess.DEVNULL,
            stdout=talk if stdout is None else stdout,
            stderr=talk,
            env=None if env is None else dict(env),
            cwd=cwd,
            start_new_session=True,
        )
    return Tree(process)


def _processes() -> list[tuple[int, list[str]]]:
    found = []
    for folder in _listing(Path("/proc")):
        if folder.name.isdigit():
            try:
                text = (folder / "stat").read_text()
            except OSError:  # it ended since the listing
                continue
            found.append((int(folder.name), text.rpartition(")")[2].split()))
    return found


def _runs_in(session: int, fields: list[str]) -> bool:
    return int(fields[_SESSION]) == session and fields[_STATE] not in "ZX"


def _listing(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:  # it ended meanwhile
        return []


def _labelled_sum(file: Path, label: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:  # it ended meanwhile, or belongs to another user
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith(label + ":"))


def _cpu_s(pid: int) -> float:
    """User and system time of all threads a process has had; 0 if it has just ended."""
    try:
        return time.clock_gettime(~pid << 3 | _SCHEDULED)
    except OSError:
        return 0.0


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
