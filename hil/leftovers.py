"""What a part of this process left behind: threads, open files and sockets, warnings of forgotten ones. Looks only."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

PATIENCE_S: Final = 2.0
"""The bench's own end of a connection closes a moment after the other; what is really left stays for ever."""
POLL_S: Final = 0.005


@dataclass(frozen=True, slots=True)
class Census:
    """Everything of this process that somebody has to give back.

    Attributes:
        threads: those that live.
        files: (descriptor, what it is) of all open files and sockets.
    """

    threads: frozenset[threading.Thread]
    files: frozenset[tuple[str, str]]


def census() -> Census:
    """As it is now."""
    return Census(frozenset(threading.enumerate()), _files())


class Leftovers:
    """A stretch of time after which everything must be as before; an asynchronous context.

    Attributes:
        found: after it, a line for each thing that was left.
    """

    def __init__(self) -> None:
        self.found: list[str] = []
        self._warned = warnings.catch_warnings(record=True)
        self._messages: list[warnings.WarningMessage] = []
        self._before = Census(frozenset(), frozenset())

    async def __aenter__(self) -> Self:
        gc.freeze()  # what was there before is not looked through at the end
        messages = self._warned.__enter__()
        assert messages is not None, "they are recorded"
        self._messages = messages
        warnings.simplefilter("always")
        self._before = census()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.found += await self._left()
            gc.collect()  # whatever is closed only now was forgotten, and Python says so
        finally:
            gc.unfreeze()
            self._warned.__exit__(kind, error, trace)
        self.found += [f"{one.category.__name__}: {one.message}" for one in self._messages]

    async def _left(self) -> list[str]:
        end = time.monotonic() + PATIENCE_S
        while True:
            now = census()
            threads, files = now.threads - self._before.threads, now.files - self._before.files
            if not (threads or files) or time.monotonic() > end:
                break
            await asyncio.sleep(POLL_S)
        ends = _ends() if files else {}
        return [f"thread {one.name}" for one in threads] + [
            f"file {number} {what}{ends.get(what, '')}" for number, what in files
        ]


def _files() -> frozenset[tuple[str, str]]:
    found = set()
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found.add((entry.name, str(entry.readlink())))
        except OSError:  # closed meanwhile, as the listing's own is
            continue
    return frozenset(found)


def _ends() -> dict[str, str]:
    """Socket, as a descriptor names it -> its state and ports as the kernel lists them, to tell whose it was."""
    found = {}
    for line in Path("/proc/net/tcp").read_text(encoding="ascii").splitlines()[1:]:
        fields = line.split()
        ports = [int(end.rpartition(":")[2], 16) for end in fields[1:3]]
        found[f"socket:[{fields[9]}]"] = f" tcp {ports[0]} to {ports[1]}, state {fields[3]}"
    return found
