"""Who restarts and who falls. Touches tasks only; what a part does is its own affair.

Every part has a task of its own (a TaskGroup on 3.11 and 3.12 forgets a cancellation that meets a failing child).
A part that fails is started again after a back-off, for ever, and its fall is told once. A *vital* part
(evaluation) is not: its failure ends the house, and systemd sets the house up again.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from typing import Final

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 30.0
STOP_S: Final = 4.0
"""Parts get this long to leave; DESIGN promises the whole house within five seconds."""

log = logging.getLogger("plantgate.supervise")

Fell = Callable[[str, str], None]
"""(part, cause): cause is "" when the part runs again."""


class Supervisor:
    """Runs the parts of the house.

    Args:
        fell: is told when a part fails and when it has come back.
    """

    def __init__(self, fell: Fell) -> None:
        self._fell = fell
        self._tasks: dict[asyncio.Task[None], str] = {}
        self._failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    def start(self, part: str, run: Callable[[], Awaitable[None]], *, vital: bool = False) -> None:
        """Run a part until ``stop``."""
        coroutine = self._vital(part, run) if vital else self._restarting(part, run)
        task = asyncio.get_running_loop().create_task(coroutine, name=part)
        self._tasks[task] = part
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    async def failed(self) -> BaseException:
        """Wait until a vital part has failed."""
        return await asyncio.shield(self._failed)

    async def stop(self) -> list[str]:
        """Cancel every part and wait for it, at most ``STOP_S``.

        Returns:
            names of parts that did not leave in time; [] is the promise.
        """
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=STOP_S)
        self._failed.cancel()
        return [task.get_name() for task in tasks if not task.done()]

    async def _vital(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        try:
            await run()
        except Exception as e:
            log.critical("%s is broken: %r", part, e, exc_info=e)
            if not self._failed.done():
                self._failed.set_result(e)

    async def _restarting(self, part: str, run: Callable[[], Awaitable[None]]) -> None:
        pause_s = FIRST_PAUSE_S
        loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None
        while True:
            started = loop.time()
            try:
                await run()
                cause = "ended by itself"
            except Exception as e:
                log.exception("%s fell", part)
                cause = repr(e)
            if task.cancelling():
                return  # it failed while leaving: the cancellation it covered up still counts
            self._fell(part, cause)
            if loop.time() - started > LONGEST_PAUSE_S:
                pause_s = FIRST_PAUSE_S
            await asyncio.sleep(random.uniform(0.5, 1.0) * pause_s)  # noqa: S311 - jitter, not a secret
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
            self._fell(part, "")
