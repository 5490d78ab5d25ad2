from buffer.record import Record
from gateway.uplink import volatile
from gateway.uplink.volatile import VolatileAlarms


def alarm(n):
    return Record("alarm", n, n, b"", b"")


def test_acknowledged_before_the_disk_is_back_settles_the_copy_at_once():
    held = VolatileAlarms()
    held.hold([alarm(1)])
    held.sent(1)
    assert held.acknowledged(1) is None
    assert held.recovered({1: ("alarm", 10)}) == [("alarm", 10)]
    assert len(held) == 0


def test_on_its_way_when_the_disk_is_back_covers_its_copy_until_acknowledged():
    held = VolatileAlarms()
    held.hold([alarm(1)])
    held.sent(1)
    assert held.recovered({1: ("alarm", 10)}) == []
    assert held.covers(("alarm", 10))
    assert held.pending() == [alarm(1)]
    assert held.acknowledged(1) == ("alarm", 10)
    assert not held.covers(("alarm", 10))


def test_never_sent_leaves_it_to_the_copy():
    held = VolatileAlarms()
    held.hold([alarm(1), alarm(2)])
    held.sent(1)
    assert held.recovered({1: ("alarm", 10), 2: ("alarm", 11)}) == []
    assert held.holds(1)
    assert not held.holds(2)
    assert not held.covers(("alarm", 11))


def test_bounded_and_counted(monkeypatch):
    monkeypatch.setattr(volatile, "MAX_HELD", 3)
    held = VolatileAlarms()
    held.hold(alarm(n) for n in range(1, 6))
    assert [record.seq for record in held.pending()] == [3, 4, 5]
    assert held.given_up == 2


def test_what_was_acknowledged_is_remembered_within_a_bound(monkeypatch):
    monkeypatch.setattr(volatile, "MAX_REMEMBERED", 2)
    held = VolatileAlarms()
    for n in (1, 2, 3):
        held.hold([alarm(n)])
        held.sent(n)
        held.acknowledged(n)
    copies = {n: ("alarm", n + 10) for n in (1, 2, 3)}
    assert held.recovered(copies) == [("alarm", 12), ("alarm", 13)], "1 goes out again under its durable key"


def test_acknowledged_twice_is_nothing():
    held = VolatileAlarms()
    held.hold([alarm(1)])
    held.sent(1)
    held.acknowledged(1)
    assert held.acknowledged(1) is None
