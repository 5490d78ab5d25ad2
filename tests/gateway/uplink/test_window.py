import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.uplink.message import Message
from gateway.uplink.window import ALARM_STREAMS, STREAMS, Backoff, Window, WindowSettings

HANDLES = itertools.count(1)


def message(stream, seq, size=10):
    return Message(f"g/s/{stream}/{seq}", "reading", seq, "topic", bytes(size))


def send(window, stream, seq, now_s=0.0, size=10):
    assert window.has_room(stream)
    window.sent(message(stream, seq, size), stream, seq, next(HANDLES), now_s)


def open_up(window, *streams):
    """Each stream's first message was taken, so its recipient is known to be there."""
    for stream in streams:
        send(window, stream, 1)
        assert window.settled(f"g/s/{stream}/1") is not None


def due(window, now_s):
    return [flight.message.key for flight in window.due(now_s, 100)]


@pytest.mark.parametrize("stream", STREAMS)
def test_one_message_until_the_recipient_has_shown_itself(stream):
    window = Window(WindowSettings())
    send(window, stream, 1)
    assert not window.has_room(stream)
    window.settled(f"g/s/{stream}/1")
    send(window, stream, 2)
    assert window.has_room(stream)


def test_alarms_have_room_when_everything_else_is_full():
    window = Window(WindowSettings(messages=4))
    open_up(window, "live", "alarm")
    for seq in range(2, 6):
        send(window, "live", seq)
    assert not window.has_room("live")
    assert not window.has_room("backfill")
    assert window.has_room("alarm")
    assert window.has_room("volatile")


def test_bulk_leaves_room_for_live():
    window = Window(WindowSettings(messages=4))
    open_up(window, "backfill", "live")
    for seq in range(2, 5):
        send(window, "backfill", seq)
    assert not window.has_room("backfill")
    assert window.has_room("live")


def test_bulk_is_bounded_in_bytes_but_one_always_goes():
    window = Window(WindowSettings(bulk_bytes=100))
    open_up(window, "snapshot")
    send(window, "snapshot", 2, size=5_000)
    assert not window.has_room("snapshot")
    assert not window.has_room("backfill")
    assert window.has_room("live")
    window.settled("g/s/snapshot/2")
    assert window.has_room("snapshot")


def test_silence_sends_the_oldest_again_and_holds_the_rest():
    window = Window(WindowSettings(receipt_timeout_s=10))
    open_up(window, "live")
    for seq in (2, 3, 4):
        send(window, "live", seq, now_s=seq)
    assert window.next_deadline_s() == 12
    assert due(window, 11.9) == []
    assert due(window, 12) == ["g/s/live/2"]
    assert not window.has_room("live")
    assert due(window, 12) == []
    window.settled("g/s/live/2")
    assert due(window, 12) == ["g/s/live/3"], "3 may be lost too; nothing new may overtake it"
    assert not window.has_room("live")


def test_a_silent_recipient_never_keeps_one_alarm_behind_another():
    window = Window(WindowSettings(receipt_timeout_s=10))
    open_up(window, "alarm")
    send(window, "alarm", 2)
    send(window, "alarm", 3)
    assert due(window, 10) == ["g/s/alarm/2", "g/s/alarm/3"]
    assert window.has_room("alarm")


def test_absent_recipient_is_asked_again_soon_with_one_message():
    window = Window(WindowSettings(receipt_timeout_s=10, absent_retry_s=2))
    open_up(window, "live")
    send(window, "live", 2)
    send(window, "live", 3)
    window.absent("g/s/live/3", 1.0)
    assert not window.has_room("live")
    assert window.next_deadline_s() == 3.0
    assert due(window, 3.0) == ["g/s/live/2"]


def test_a_refused_stream_stands_still_and_takes_nothing_from_the_others():
    window = Window(WindowSettings(messages=4, refused_retry_s=300))
    open_up(window, "live", "journal")
    for seq in range(2, 6):
        send(window, "live", seq)
    assert not window.has_room("journal")
    for seq in range(2, 6):
        window.refused(f"g/s/live/{seq}", 1.0)
    for seq in range(2, 6):
        send(window, "journal", seq, now_s=1.0)
        assert window.settled(f"g/s/journal/{seq}") is not None
    assert not window.has_room("live")
    assert window.next_deadline_s() == 301
    assert due(window, 300) == []
    assert due(window, 301) == ["g/s/live/2"], "one message asks"
    window.settled("g/s/live/2")
    assert due(window, 301) == ["g/s/live/3"]


def test_a_silent_stream_takes_nothing_from_the_others():
    window = Window(WindowSettings(messages=4))
    open_up(window, "live", "journal")
    for seq in range(2, 6):
        send(window, "live", seq, size=600 << 10)
    assert not window.has_room("journal")
    assert due(window, 20) == ["g/s/live/2"]
    assert window.has_room("journal")
    window.settled("g/s/live/2")
    send(window, "journal", 2)
    assert window.has_room("journal") is False, "live flows again, and its places count again"
    for seq in (3, 4, 5):
        window.settled(f"g/s/live/{seq}")
    assert window.has_room("live")


@pytest.mark.parametrize("stream", STREAMS)
def test_one_message_always_goes_however_large(stream):
    window = Window(WindowSettings())
    for seq in (1, 2):
        send(window, stream, seq, size=16 << 20)
        window.settled(f"g/s/{stream}/{seq}")


def test_no_more_goes_out_again_than_the_line_takes():
    window = Window(WindowSettings(receipt_timeout_s=10))
    open_up(window, "alarm")
    for seq in (2, 3, 4):
        send(window, "alarm", seq)
    assert [flight.message.seq for flight in window.due(10, 2)] == [2, 3]
    assert [flight.message.seq for flight in window.due(10, 2)] == [4]


def test_settled_twice_is_nothing():
    window = Window(WindowSettings())
    send(window, "live", 1)
    assert window.settled("g/s/live/1") is not None
    assert window.settled("g/s/live/1") is None
    assert window.settled("someone/else/s/1") is None
    assert len(window) == 0
    assert window.next_deadline_s() is None


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_line_loses_order_holds_and_everything_arrives(data):  # noqa: C901 - a simulation in one piece
    """A line that loses messages and receipts at random, a recipient that notes what it sees first."""
    limits = WindowSettings(messages=5, alarm_messages=3, receipt_timeout_s=1.0, absent_retry_s=0.5)
    window = Window(limits)
    left = {stream: list(range(1, 8)) for stream in STREAMS}
    seen = {stream: [] for stream in STREAMS}
    now_s = 0.0
    for step in range(2_000):
        if not window and not any(left.values()):
            break
        lossy = step < 120
        out = window.due(now_s, 100)
        for stream in STREAMS:
            while left[stream] and window.has_room(stream):
                send(window, stream, left[stream].pop(0), now_s)
                out.append(list(window)[-1])
        for flight in out:
            alive = not lossy or data.draw(st.booleans())
            if not alive:
                # The broker knows that nobody is there, and what follows at once is lost as well.
                for other in out[out.index(flight) :]:
                    window.absent(other.message.key, now_s)
                break
            if flight.message.seq not in seen[flight.stream]:
                seen[flight.stream].append(flight.message.seq)
            if not lossy or data.draw(st.booleans()):
                window.settled(flight.message.key)
        for stream in set(STREAMS) - ALARM_STREAMS:
            assert sum(flight.stream == stream for flight in window) <= limits.messages
        now_s += 0.3
    assert all(sorted(order) == list(range(1, 8)) for order in seen.values())
    for stream in set(STREAMS) - ALARM_STREAMS:
        assert seen[stream] == sorted(seen[stream]), stream


def test_backoff_grows_to_a_minute_and_starts_anew():
    backoff = Backoff(lambda: 1.0)
    assert [backoff.next_s() for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    backoff.reset()
    assert backoff.next_s() == 1
    assert Backoff(lambda: 0.25).next_s() == 0.25
    nearer = Backoff(lambda: 1.0, last_s=5.0)
    assert [nearer.next_s() for _ in range(5)] == [1, 2, 4, 5, 5]
