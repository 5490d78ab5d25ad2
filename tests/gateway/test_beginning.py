from pathlib import Path

from buffer.writer import Opened
from gateway.alarm.entry import Entry
from gateway.alarm.people import Held
from gateway.beginning import held_back, standing, start_entries
from gateway.instant import Now
from gateway.limit_change import Begun
from gateway.plant import Config, StorageConfig

CONFIG = Config("new", "site", "gw", "zh", StorageConfig(Path("x")), Path("x"), ())
NOW = Now(0, 2_000_000_000)


def opened(state=None, *, unclean=False, quarantined=None):
    return Opened("spool", {}, state or {}, {}, quarantined, unclean, 1_000_000_000, pregrown=True)


def entries(*args, boot="b1", **more):
    return {e.kind: e for e in start_entries(CONFIG, opened(*args, **more), NOW, "0.1.0", boot)}


def test_a_first_start_tells_the_configuration_and_keeps_its_point_lists():
    found = entries()
    assert found.keys() == {"config_change", "start"}
    assert found["config_change"].item["new"] == "new"
    assert found["config_change"].state == {"config/current": b"new", "config/new": b"{}"}


def test_a_start_with_the_same_configuration_tells_only_the_start():
    assert entries({"config/current": b"new"}).keys() == {"start"}


def test_a_kill_is_told_from_a_power_cut_by_the_boot():
    state = {"config/current": b"new", "boot": b"b1"}
    killed = entries(state, unclean=True)["gap"].item
    assert (killed["cause"], killed["from_ns"], killed["to_ns"]) == ("killed", 1_000_000_000, 2_000_000_000)
    assert killed["dropped"] == -1
    assert entries(state, unclean=True, boot="b2")["gap"].item["cause"] == "power"


def test_a_damaged_spool_is_named():
    found = entries(unclean=True, quarantined=Path("spool.db.quarantine-1"))
    assert found["gap"].item["cause"] == "quarantine"
    assert found["start"].item["quarantined"] == "spool.db.quarantine-1"


def test_changed_limits_are_told_after_the_configuration_and_before_the_start():
    begun = Begun((Entry("config_change", {"object": "point LT-1", "field": "H"}),), {"limits/table": b"{}"})
    found = start_entries(CONFIG, opened(), NOW, "0.1.0", "b1", begun)
    assert [(e.kind, e.item.get("object")) for e in found] == [
        ("config_change", "configuration"),
        ("config_change", "point LT-1"),
        ("start", None),
    ]
    assert found[-1].state == {"boot": b"b1", "limits/table": b"{}"}


def test_what_was_held_back_is_taken_up_and_what_cannot_be_read_holds_nothing():
    shelf = Held("shelve", "LT-1", "wang", "x", 1, 2)
    state = {shelf.key: shelf.state_bytes(), "hold/shelve/LT-2": b"{", "boot": b"b1"}
    assert held_back(state) == [shelf]
    assert standing(state) == ([], [])


def test_a_hold_that_cannot_be_read_is_on_record_and_forgotten():
    found = entries({"hold/shelve/LT-2": b"{", "alarm/LT-2/high": b"["})["alarms_unreadable"]
    assert found.item["states"] == ["alarm/LT-2/high", "hold/shelve/LT-2"]
    assert found.state == {"alarm/LT-2/high": None, "hold/shelve/LT-2": None}
