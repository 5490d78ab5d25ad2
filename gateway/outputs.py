"""Sirens and lamps of this box. Touches commands and files, each output in a thread of its own.

The loop only posts: a hanging command or disk holds up its own output and nothing else. An output that failed
says so in ``state`` and stands as an alarm until it works again. Changes are never dropped: where too many wait,
those of one condition are folded into its newest and counted.
"""

from __future__ import annotations

import logging
import subprocess
import threading
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.alarm.life import AlarmChanged
from gateway.plant import OutputConfig

MAX_WAITING: Final = 1_000
"""Changes that wait apart for a slow output; beyond it they are folded per condition, of which there are as many
as the plant has."""

COMMAND_S: Final = 5.0
"""A command that runs longer is killed and counts as failed."""

STOP_S: Final = 1.0

log = logging.getLogger("plantgate.outputs")


class Output:
    """One output and its thread."""

    def __init__(self, config: OutputConfig, config_rev: str) -> None:
        self.name = config.name
        self.failure = ""
        self.sounded = 0
        self._config = config
        self._config_rev = config_rev
        self._waiting: deque[AlarmChanged] = deque()
        self._most = MAX_WAITING
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"output-{config.name}", daemon=True)
        self._thread.start()

    def sound(self, change: AlarmChanged) -> None:
        """Post one change; never blocks."""
        with self._wake:
            self._waiting.append(change)
            if len(self._waiting) > self._most:
                self._waiting = _folded(self._waiting)
                # not at every further change: folding costs as much as what waits
                self._most = max(MAX_WAITING, 2 * len(self._waiting))
            self._wake.notify()

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        return {"name": self.name, "state": "failed" if self.failure else "ok", "detail": self.failure}

    def close(self) -> bool:
        """Let the thread finish what waits, at most ``STOP_S``; False if it hangs."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(STOP_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (change := self._next()) is not None:
            try:
                self._deed(orjson.dumps(change.item(self._config_rev), option=orjson.OPT_APPEND_NEWLINE))
            except Exception as e:  # noqa: BLE001 - whatever it was, the next alarm must sound
                if not self.failure:
                    log.error("output %s failed: %s", self.name, e)  # noqa: TRY400 - one line is all there is
                self.failure = str(e) or type(e).__name__
            else:
                self.failure = ""
                self.sounded += 1

    def _next(self) -> AlarmChanged | None:
        """The oldest change that waits; None when closing and nothing waits."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            return self._waiting.popleft() if self._waiting else None

    def _deed(self, line: bytes) -> None:
        if self._config.path is not None:
            _append_line(self._config.path, line)
            return
        subprocess.run(  # noqa: S603 - argv comes from the checked configuration, no shell
            self._config.argv,
            input=line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_S,
            check=True,
        )


def _folded(changes: deque[AlarmChanged]) -> deque[AlarmChanged]:
    """Of each condition the newest change, in the order in which they came, the others counted in it."""
    newest: dict[str, AlarmChanged] = {}
    for change in changes:
        before = newest.pop(change.alarm.condition, None)
        folded = before.coalesced + 1 if before else 0
        newest[change.alarm.condition] = replace(change, coalesced=change.coalesced + folded)
    return deque(newest.values())


def _append_line(path: Path, line: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(line)
