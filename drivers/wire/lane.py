"""Asks what may never answer, a dead disk or a FIFO, in a thread of its own. Decides nothing about the answer.

A call that hangs in the kernel cannot be ended: it ends with its answer, which nobody waits for any more. So a lane
has one thread at most and is not asked again while that hangs, and the threads that everyone shares stay free.
"""

from __future__ import annotations

import asyncio
import errno
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final, Generic, TypeVar

LEAVE_S: Final = 0.5
"""At a stop, a thread that has answered gets this long to end."""

_AnswerT = TypeVar("_AnswerT")


class Lane(Generic[_AnswerT]):
    """Calls that can hang together, and the one thread that makes them; a daemon, so that no exit waits for it.

    Args:
        name: of its thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None
        self._busy = False

    def ask(self, call: Callable[[], _AnswerT]) -> asyncio.Future[_AnswerT] | None:
        """Start a call; None while an earlier one hangs: nobody waits for that again.

        The answer is not to be cancelled: wait for it with ``asyncio.wait`` or behind ``asyncio.shield``.

        Raises:
            OSError: there is no thread to be had.
        """
        if self._busy:
            return None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_AnswerT] = loop.create_future()
        thread = threading.Thread(target=self._make, args=(loop, answer, call), name=self._name, daemon=True)
        self._busy = True
        try:
            thread.start()
        except RuntimeError as error:
            self._busy = False
            raise OSError(errno.EAGAIN, str(error)) from error
        self._thread = thread
        return answer

    def leave(self) -> None:
        """Collect a thread that has answered; one that hangs is left to the kernel."""
        if self._thread is not None and not self._busy:
            self._thread.join(LEAVE_S)

    def _make(
        self,
        loop: asyncio.AbstractEventLoop,
        answer: asyncio.Future[_AnswerT],
        call: Callable[[], _AnswerT],
    ) -> None:
        """In the thread."""
        deed: Callable[[], object]
        try:
            deed = partial(answer.set_result, call())
        except Exception as error:  # noqa: BLE001 - whoever asked handles it
            deed = partial(answer.set_exception, error)
        self._busy = False
        with suppress(RuntimeError):  # the loop is closed: the house left while the kernel was silent
            loop.call_soon_threadsafe(deed)
