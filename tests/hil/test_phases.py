"""The wrappers tell what is under way, and are gone afterwards."""

from __future__ import annotations

import asyncio

from buffer.record import Append, Draft
from buffer.settings import SpoolSettings
from buffer.writer import SpoolWriter
from gateway.engine import Engine
from gateway.instant import UNSYNCHRONISED, Now
from gateway.uplink.message import Message
from gateway.uplink.window import Window, WindowSettings
from hil.phases import WAIT, Phases


def test_what_is_awaited_is_under_way_until_it_ends(tmp_path):
    async def story():
        with Phases() as phases:
            entered = []
            phases.entered = entered.append
            writer = SpoolWriter(
                tmp_path / "spool.db", SpoolSettings(quota_bytes=1 << 30), ("province",), lambda _: b""
            )
            await writer.start()
            assert phases.now() == {WAIT}
            task = asyncio.create_task(writer.append(Append((Draft("alarm", 1, b"H"),))))
            await asyncio.sleep(0)
            assert phases.now() == {"commit"}
            await task
            assert phases.now() == {WAIT}
            assert entered == ["commit"]
            await writer.close()

    plain = SpoolWriter.append
    asyncio.run(story())
    assert SpoolWriter.append is plain


def test_judging_is_seen_from_within():
    with Phases() as phases:
        seen = []
        phases.entered = lambda phase: seen.append((phase, phases.now()))
        now = Now(1, 1, UNSYNCHRONISED)
        Engine((), (), now).step((), now)
        assert seen == [("evaluate", frozenset({"evaluate"}))]
        assert phases.now() == {WAIT}


def test_a_message_is_on_its_way_until_it_is_settled():
    with Phases() as phases:
        window = Window(WindowSettings())
        window.sent(Message("g/s/alarm/1", "alarm", 1, "topic", b""), "alarm", 1, 1, 0.0)
        assert phases.now() == {"publish"}
        window.settled("g/s/alarm/1")
        assert phases.now() == {WAIT}
        window.sent(Message("g/s/alarm/2", "alarm", 2, "topic", b""), "alarm", 1, 1, 0.0)
        phases.forget()
        assert phases.now() == {WAIT}
