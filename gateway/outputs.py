"""Sirens and lamps of this box. Touches commands and files, each output in a thread of its own.

The loop only posts: a hanging command or disk holds up its own output and nothing else. An output that failed
says so in ``state`` and stands as an alarm until it works again.
"""

from __future__ import annotations

import logging
import queue
import subprocess
import threading
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.alarm.life import AlarmChanged
from gateway.plant import OutputConfig

MAX_WAITING: Final = 1_000
"""Changes that wait for a slow output; beyond it the oldest go, for the newest state is what must sound."""

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
        self._waiting: queue.Queue[bytes | None] = queue.Queue(MAX_WAITING)
        self._thread = threading.Thread(target=self._work, name=f"output-{config.name}", daemon=True)
        self._thread.start()

    def sound(self, change: AlarmChanged) -> None:
        """Post one change; never blocks."""
        line = orjson.dumps(change.item(self._config_rev), option=orjson.OPT_APPEND_NEWLINE)
        while True:
            try:
                self._waiting.put_nowait(line)
            except queue.Full:
                self._waiting.get_nowait()
                self.failure = "too slow: older alarm changes were skipped"
            else:
                return

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        return {"name": self.name, "state": "failed" if self.failure else "ok", "detail": self.failure}

    def close(self) -> bool:
        """Let the thread finish what waits, at most ``STOP_S``; False if it hangs."""
        try:
            self._waiting.put_nowait(None)
        except queue.Full:
            self._waiting.get_nowait()
            self._waiting.put_nowait(None)
        self._thread.join(STOP_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (line := self._waiting.get()) is not None:
            try:
                self._deed(line)
            except (OSError, subprocess.SubprocessError) as e:
                if not self.failure:
                    log.error("output %s failed: %s", self.name, e)  # noqa: TRY400 - one line is all there is
                self.failure = str(e)
            else:
                self.failure = ""
                self.sounded += 1

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


def _append_line(path: Path, line: bytes) -> None:
    with path.open("ab", buffering=0) as file:
        file.write(line)
