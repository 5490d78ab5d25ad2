"""Sirens and lamps of this box. Touches commands, files and GPIO lines, each output in a thread of its own.

The loop only posts: a hanging command or disk holds up its own output and nothing else. An output that failed
says so in ``state`` and stands as an alarm until it works again. One that is told changes loses none: where too many
wait, those of one condition are folded into its newest and counted. A horn or lamp is told its newest state, and again
every ``ASSERT_S``, so that a dead one is found while nothing happens. At a stop it stays as it is: that the gateway
goes is no all-clear.
"""

from __future__ import annotations

import logging
import subprocess
import threading
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from gateway.alarm.annunciator import Shown, Signal
from gateway.alarm.life import AlarmChanged
from gateway.gpio import Line
from gateway.plant import OutputConfig

MAX_WAITING: Final = 1_000
"""Changes that wait apart for a slow output; beyond it they are folded per condition, of which there are as many
as the plant has."""

COMMAND_S: Final = 5.0
"""A command that runs longer is killed and counts as failed."""

HUNG_S: Final = 10.0
"""An output that has been busy with one thing for so long has failed, though it says nothing."""

ASSERT_S: Final = 10.0
"""A horn or lamp is told its state again so often."""

RETRY_S: Final = 1.0
"""A horn or lamp that failed is tried again so soon."""

STOP_S: Final = 1.0

log = logging.getLogger("plantgate.outputs")


@dataclass(frozen=True, slots=True)
class Told:
    """One thing that an output is told.

    Attributes:
        item: as JSON.
        on: what a line is turned to.
        again: it has been told the same before.
    """

    item: dict[str, Any]
    on: bool = True
    again: bool = False

    @property
    def line(self) -> bytes:
        """As a line of JSON."""
        return orjson.dumps(self.item, option=orjson.OPT_APPEND_NEWLINE)


class Means(Protocol):
    """How an output is told; called on its thread, may block and raise what it likes."""

    def tell(self, told: Told) -> None:
        """Do it."""

    def close(self) -> None:
        """Give back what is held."""


class Output:
    """One output and its thread, told every change of an alarm.

    Args:
        config: which one, and of which priorities it is told.
        config_rev: stands in what it is told.

    Attributes:
        sounded: how often it was told something.
    """

    def __init__(self, config: OutputConfig, config_rev: str) -> None:
        self.name = config.name
        self.config = config
        self.sounded = 0
        self._failure = ""
        self._busy_since_s = 0.0
        self._config_rev = config_rev
        self._means = _means(config)
        self._waiting: deque[AlarmChanged] = deque()
        self._most = MAX_WAITING
        self._wake = threading.Condition()
        self._closing = False
        self._thread = threading.Thread(target=self._work, name=f"output-{config.name}", daemon=True)
        self._thread.start()

    def sound(self, change: AlarmChanged) -> None:
        """Post one change; never blocks."""
        if change.alarm.priority not in self.config.priorities:
            return
        with self._wake:
            self._waiting.append(change)
            if len(self._waiting) > self._most:
                self._waiting = _folded(self._waiting)
                # not at every further change: folding costs as much as what waits
                self._most = max(MAX_WAITING, 2 * len(self._waiting))
            self._wake.notify()

    @property
    def failure(self) -> str:
        """What is wrong with it, "" if nothing is."""
        since_s = self._busy_since_s
        if since_s and time.monotonic() - since_s > HUNG_S:
            return f"hangs: no end within {HUNG_S:g} s"
        return self._failure

    def state(self) -> dict[str, Any]:
        """For ``status``."""
        failure = self.failure
        state = "failed" if failure else "ok"
        return {"name": self.name, "state": state, "detail": failure, "signal": self.config.signal}

    def close(self) -> bool:
        """Let the thread finish what waits, at most ``STOP_S``; False if it hangs."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(STOP_S)
        return not self._thread.is_alive()

    def _work(self) -> None:
        while (told := self._next()) is not None:
            self._busy_since_s = time.monotonic()
            try:
                self._means.tell(told)
            except Exception as e:  # noqa: BLE001 - whatever it was, the next alarm must sound
                if not self._failure:
                    log.error("output %s failed: %s", self.name, e)  # noqa: TRY400 - one line is all there is
                self._failure = str(e) or type(e).__name__
            else:
                self._failure = ""
                self.sounded += 1
                self._done(told)
            self._busy_since_s = 0.0
        self._means.close()

    def _next(self) -> Told | None:
        """The oldest change that waits; None when closing and nothing waits."""
        with self._wake:
            self._wake.wait_for(lambda: self._waiting or self._closing)
            return Told(self._waiting.popleft().item(self._config_rev)) if self._waiting else None

    def _done(self, told: Told) -> None:
        """It was told so."""


class Signalled(Output):
    """A horn or lamp: told whether it is on.

    Args:
        config: which one.
        signal: which of the two it is.
        config_rev: see ``Output``.

    Attributes:
        shown: what it shall show; None before the first time.
    """

    def __init__(self, config: OutputConfig, signal: Signal, config_rev: str) -> None:
        self.signal = signal
        self.shown: Shown | None = None
        self._fresh = False
        self._told_on: bool | None = None
        super().__init__(config, config_rev)

    def show(self, shown: Shown) -> None:
        """Post what it shall show; never blocks. Of several that wait only the newest counts."""
        before, self.shown = self.shown, shown
        if before is None or before.on != shown.on:
            with self._wake:
                self._fresh = True
                self._wake.notify()

    def state(self) -> dict[str, Any]:
        """For ``status``: also whether it is on, why, and how many alarms are silenced."""
        shown = self.shown or Shown(self.signal, on=False, because="")
        return {
            **super().state(),
            **shown.item(),
            "silenced": shown.silenced,
            "lamp_test": shown.lamp_test,
        }

    def _next(self) -> Told | None:
        with self._wake:
            pause_s = None if self.shown is None else RETRY_S if self._failure else ASSERT_S
            self._wake.wait_for(lambda: self._fresh or self._closing, pause_s)
            fresh, self._fresh = self._fresh, False
            shown = self.shown
        if shown is None or (self._closing and not fresh):
            return None
        return Told(shown.item(), shown.on, again=shown.on == self._told_on)

    def _done(self, told: Told) -> None:
        self._told_on = told.on


def started(config: OutputConfig, config_rev: str) -> Output:
    """An output as it is configured, its thread running."""
    if config.signal == "changes":
        return Output(config, config_rev)
    return Signalled(config, config.signal, config_rev)


def _means(config: OutputConfig) -> Means:
    if config.kind == "gpio":
        return _Gpio(config)
    if config.path is not None:
        return _File(config.path)
    return _Command(config.argv)


class _Command:
    def __init__(self, argv: tuple[str, ...]) -> None:
        self._argv = argv

    def tell(self, told: Told) -> None:
        subprocess.run(  # noqa: S603 - argv comes from the checked configuration, no shell
            self._argv,
            input=told.line,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=COMMAND_S,
            check=True,
        )

    def close(self) -> None:
        """Nothing is held."""


class _File:
    def __init__(self, path: Path) -> None:
        self._path = path

    def tell(self, told: Told) -> None:
        with self._path.open("ab", buffering=0) as file:
            # A state that stands in it already is only looked after; in a new file it is missing.
            if not told.again or not file.tell():
                file.write(told.line)

    def close(self) -> None:
        """Nothing is held."""


class _Gpio:
    def __init__(self, config: OutputConfig) -> None:
        self._line = Line(config.chip, config.line, active_low=config.active_low)

    def tell(self, told: Told) -> None:
        self._line.set(on=told.on)

    def close(self) -> None:
        self._line.close()


def _folded(changes: deque[AlarmChanged]) -> deque[AlarmChanged]:
    """Of each condition the newest change, in the order in which they came, the others counted in it."""
    newest: dict[str, AlarmChanged] = {}
    for change in changes:
        before = newest.pop(change.alarm.condition, None)
        folded = before.coalesced + 1 if before else 0
        newest[change.alarm.condition] = replace(change, coalesced=change.coalesced + folded)
    return deque(newest.values())
