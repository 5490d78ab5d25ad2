"""A lane over real FIFOs: one thread at most, a hanging call never made twice, an answer after the loop's end."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from pathlib import Path

import pytest

from drivers.wire.lane import Lane

PATIENCE_S = 20.0


@pytest.fixture
def fifo(tmp_path: Path) -> Path:
    path = tmp_path / "fifo"
    os.mkfifo(path)
    return path


def hanging() -> int:
    return sum(thread.name == "test lane" for thread in threading.enumerate())


def freed() -> None:
    until = time.monotonic() + PATIENCE_S
    while hanging():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_answer_and_an_error_come_and_no_thread_stays(tmp_path: Path) -> None:
    async def story() -> None:
        lane: Lane[str] = Lane("test lane")
        (tmp_path / "file").write_text("content")
        first = lane.ask((tmp_path / "file").read_text)
        assert first is not None
        assert await first == "content"
        second = lane.ask((tmp_path / "nowhere").read_text)
        assert second is not None
        with pytest.raises(FileNotFoundError):
            await second
        lane.leave()
        freed()

    asyncio.run(story())


def test_what_hangs_is_not_asked_again_until_it_has_answered(fifo: Path) -> None:
    async def story() -> None:
        lane: Lane[str] = Lane("test lane")
        late = lane.ask(fifo.read_text)
        assert late is not None
        assert [lane.ask(fifo.read_text) for _ in range(5)] == [None] * 5
        lane.leave()
        assert hanging() == 1
        await asyncio.to_thread(fifo.write_text, "late")
        assert await late == "late"
        answer = lane.ask(lambda: "at once")
        assert answer is not None
        assert await answer == "at once"
        lane.leave()

    asyncio.run(story())
    freed()


def test_a_call_that_hangs_beyond_its_loop_holds_nobody_and_ends_by_itself(fifo: Path) -> None:
    lane: Lane[str] = Lane("test lane")

    async def ask() -> bool:
        return lane.ask(fifo.read_text) is not None

    assert asyncio.run(ask())
    assert not asyncio.run(ask()), "still hangs, also for the next loop"
    fifo.write_text("late")
    freed()
    lane.leave()
    assert asyncio.run(ask())
    fifo.write_text("again")
    freed()
