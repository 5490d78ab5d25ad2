"""What is left behind is named: a thread, an open file, a socket that was forgotten; nothing else is."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading

import pytest

from hil import leftovers
from hil.leftovers import Leftovers


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(leftovers, "PATIENCE_S", 0.1)


def found_after(deed):
    async def story():
        async with Leftovers() as left:
            deed()
        return left.found

    return asyncio.run(story())


def test_a_tidy_part_leaves_nothing():
    def deed():
        thread = threading.Thread(target=lambda: None)
        thread.start()
        thread.join()
        socket.socket().close()

    assert found_after(deed) == []


def test_a_thread_is_named():
    end = threading.Event()
    thread = threading.Thread(target=end.wait, name="stays")
    found = found_after(thread.start)
    end.set()
    thread.join()
    assert found == ["thread stays"]


def test_an_open_socket_is_named():
    with contextlib.ExitStack() as stack:
        found = found_after(lambda: stack.enter_context(socket.socket()))
    assert len(found) == 1
    assert found[0].startswith("file ")
    assert "socket" in found[0]


def test_what_is_closed_a_moment_later_is_not_left():
    async def story():
        loop = asyncio.get_running_loop()
        async with Leftovers() as left:
            loop.call_later(0.03, socket.socket().close)
        return left.found

    assert asyncio.run(story()) == []


def test_a_socket_that_was_forgotten_is_told_by_python():
    class Ring:
        def __init__(self):
            self.socket, self.me = socket.socket(), self

    found = found_after(Ring)
    assert any("ResourceWarning: unclosed <socket" in line for line in found)
