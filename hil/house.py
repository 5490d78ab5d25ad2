"""A whole gateway in a thread and loop of this process, to be stopped at any moment. Owns that thread and loop.

The way out is the one of ``plantgate run``: the serving task is cancelled and waited for, then the loop's runner
is closed. What it must not leave behind is looked for at both ends.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.app import House
from gateway.plant import Config
from hil.leftovers import Leftovers
from hil.phases import WAIT, Phases

STOP_S: Final = 5.0
"""The promise."""
GIVE_UP_S: Final = 15.0
"""Then the house is left to itself and the run ends."""
LIVES_S: Final = 10.0
"""A phase that does not begin for so long is not waited for any more."""
WAIT_POLL_S: Final = 0.001


class StuckError(RuntimeError):
    """A house did not stop at all."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When to stop.

    Attributes:
        phase: at the beginning of this one, "" for any time.
        turn: at the so-manieth beginning of it.
        after_s: so long after it; from the start of the house where no phase is named.
    """

    phase: str = ""
    turn: int = 1
    after_s: float = 0.0


@dataclass(slots=True)
class Stop:
    """How a stop went.

    Attributes:
        hit: what was under way when the stop was asked for.
        asked_ns: CLOCK_MONOTONIC.
        ended_ns: CLOCK_MONOTONIC, after the loop was closed.
        problems: why it was not clean, a line each; [] is the promise.
    """

    hit: frozenset[str] = frozenset()
    asked_ns: int = 0
    ended_ns: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def took_s(self) -> float:
        """From the wish to the end."""
        return (self.ended_ns - self.asked_ns) / 1e9


async def live(config: Config, moment: Moment, phases: Phases) -> Stop:
    """Start a house, stop it at this moment, look what it left.

    Raises:
        StuckError: it did not stop.
    """
    stop = Stop()
    errors = _Errors()
    async with Leftovers() as leftovers:
        logging.getLogger().addHandler(errors)
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()

        def run() -> None:
            try:
                with asyncio.Runner() as runner:
                    runner.run(_until_stopped(House(config), moment, phases, stop, errors.lines))
            except BaseException as e:  # noqa: BLE001 - whatever came out of it is this stop's problem
                stop.problems.append(f"ended by {e!r}")
            stop.ended_ns = time.monotonic_ns()
            loop.call_soon_threadsafe(ended.set)

        thread = threading.Thread(target=run, name="house", daemon=True)
        thread.start()
        try:
            async with asyncio.timeout(LIVES_S + moment.after_s + GIVE_UP_S):
                await ended.wait()
        except TimeoutError as e:
            raise StuckError(f"a house told to stop during {sorted(stop.hit)} still runs") from e
        finally:
            logging.getLogger().removeHandler(errors)
        thread.join()
    phases.forget()
    stop.problems += errors.lines + [f"left: {one}" for one in leftovers.found]
    if stop.took_s > STOP_S:
        stop.problems.append(f"took {stop.took_s:.1f} s")
    return stop


async def _until_stopped(house: House, moment: Moment, phases: Phases, stop: Stop, errors: list[str]) -> None:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: errors.append(str(context.get("exception", context))))
    wish = asyncio.Event()

    def ask() -> None:
        if not wish.is_set():
            stop.hit, stop.asked_ns = phases.now(), time.monotonic_ns()
            wish.set()

    timers = [loop.call_later(LIVES_S, ask), _arrange(moment, phases, ask, loop)]
    serving = loop.create_task(house.serve(), name="house")
    waiting = loop.create_task(wish.wait(), name="wish")
    await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    serving.cancel()
    await asyncio.wait({serving, waiting})
    for timer in timers:
        timer.cancel()
    if not stop.asked_ns:
        stop.asked_ns = time.monotonic_ns()
        stop.problems.append("it ended before it was told to")
    if not serving.cancelled():
        stop.problems.append(f"ended with {serving.exception()!r}")
    stop.problems += [f"hangs: {part}" for part in house.hanging]
    left = asyncio.all_tasks() - {asyncio.current_task()}
    stop.problems += [f"left: task {task.get_name()}" for task in left]


def _arrange(
    moment: Moment, phases: Phases, ask: Callable[[], None], loop: asyncio.AbstractEventLoop
) -> asyncio.TimerHandle:
    """See to it that ``ask`` is called at the moment."""
    if not moment.phase:
        return loop.call_later(moment.after_s, ask)
    if moment.phase == WAIT:

        def look() -> None:
            if phases.now() == {WAIT}:
                ask()
            else:
                loop.call_later(WAIT_POLL_S, look)

        return loop.call_later(moment.after_s, look)
    turns = moment.turn

    def entered(phase: str) -> None:
        nonlocal turns
        turns -= phase == moment.phase
        if turns == 0 and phase == moment.phase:
            if moment.after_s:
                loop.call_later(moment.after_s, ask)
            else:
                ask()

    phases.entered = entered
    return loop.call_later(LIVES_S, ask)


class _Errors(logging.Handler):
    """Collects what is logged as an error, asyncio's complaints among it."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Called by logging."""
        self.lines.append(f"{record.name}: {record.getMessage()}")

    def handle(self, record: logging.LogRecord) -> Any:
        """Called by logging; no lock is needed for a list."""
        self.emit(record)
        return True
