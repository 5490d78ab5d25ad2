"""The figures of load against a plain recount of everything that happened."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarm import load as counting
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.alarm.load import Flood, Load, floods_of
from gateway.instant import Now

S = 1_000_000_000
UTC = 1_790_000_000 * S
MINUTE, HOUR = 60, 3600


def now(second):
    return Now(int(second * S), UTC + int(second * S))


def alarm(name="LT-1", at=0.0, area="罐区", **more):
    fields = {
        "alarm_id": f"{name}/high@{at}", "condition": f"{name}/high", "type": "limit", "point_id": name,
        "source": "plc", "priority": 2, "text": "", "active": True, "acknowledged": False, "level_start": "H",
        "level_worst": "H", "level_current": "H", "value": 1.0, "peak": 1.0, "limit_edge": 1.0, "cause": "",
        "raised_ns": UTC + int(at * S), "changed_ns": UTC + int(at * S), "area": area,
    }  # fmt: skip
    return Alarm(**{**fields, **more})


def raised(name="LT-1", at=0.0, area="罐区", **more):
    return AlarmChanged("raise", alarm(name, at, area, **more))


def cleared(name="LT-1", at=0.0, since=0.0, kind="returned", area="罐区"):
    gone = replace(alarm(name, since, area), active=False, clear_kind=kind, cleared_ns=UTC + int(at * S))
    return AlarmChanged("clear", gone)


class Plant:
    """A load and what it wants on record."""

    def __init__(self, *standing, floods=(), at=0.0):
        self.load = Load(standing, now(at), floods)
        self.entries = []

    def rise(self, at, *names, **more):
        self.entries += self.load.feed([raised(name, at, **more) for name in names], now(at))

    def fall(self, at, name="LT-1", **more):
        self.entries += self.load.feed([cleared(name, at, **more)], now(at))

    def look(self, at):
        self.entries += self.load.tick(now(at))
        return self.load.view(now(at))

    @property
    def told(self):
        return [(e.kind, e.item["state"], e.item["area"], e.item["count"]) for e in self.entries]


def tags(n, prefix="T"):
    return [f"{prefix}-{i}" for i in range(n)]


def test_a_flood_begins_at_the_eleventh_alarm_in_ten_minutes_and_ends_below_five():
    plant = Plant()
    plant.rise(0, *tags(10))
    assert plant.load.floods == []
    plant.rise(599, "T-10")
    assert plant.told == [("alarm_flood", "begin", "罐区", 11)]
    assert [f.area for f in plant.load.floods] == ["罐区"]
    plant.rise(600, *tags(4, "U"))
    plant.look(1199)  # the eleventh is ten minutes old and counts still: five
    assert len(plant.load.floods) == 1
    plant.look(1201)
    assert plant.told[1:] == [("alarm_flood", "end", "罐区", 15)]
    assert plant.load.floods == []


def test_ten_alarms_in_ten_minutes_are_no_flood_however_often_they_come():
    plant = Plant()
    for k in range(200):
        plant.rise(k * 60.1, f"T-{k}")
    assert plant.told == []


def test_a_flood_is_that_of_its_area():
    plant = Plant()
    plant.rise(0, *tags(8), area="A")
    plant.rise(1, *tags(8), area="B")
    assert plant.told == []
    plant.rise(2, *tags(3, "U"), area="B")
    assert plant.told == [("alarm_flood", "begin", "B", 11)]
    by_area = {area["area"]: area for area in plant.look(3)["areas"]}
    assert (by_area["A"]["flood"], by_area["B"]["flood"]) == (False, True)
    assert (by_area["A"]["new_24h"], by_area["B"]["new_10min"]) == (8, 11)


def test_a_flood_outlives_a_restart_and_ends_after_ten_minutes_were_watched():
    before = Plant()
    before.rise(0, *tags(12))
    kept = {key: value for entry in before.entries for key, value in entry.state.items()}
    assert list(kept) == ["flood/罐区"]
    floods = floods_of({"flood/x": b"{", "flood/y": b"[1]", "alarm/LT-1": b"", **kept})
    assert floods == [Flood("罐区", UTC, 11)]
    after = Plant(floods=floods, at=100)
    assert [(a["area"], a["flood"]) for a in after.look(699)["areas"]] == [("罐区", True)]
    assert after.told == []
    after.look(700)
    assert after.told == [("alarm_flood", "end", "罐区", 11)]
    assert after.entries[0].state == {"flood/罐区": None}


def test_what_stands_at_a_restart_counts_towards_a_flood_by_its_age():
    young = [alarm(name, 50) for name in tags(10)]
    plant = Plant(*young, at=100)
    assert plant.told == []
    plant.rise(101, "U-1")
    assert plant.told == [("alarm_flood", "begin", "罐区", 11)]
    old = Plant(*(alarm(name, 50) for name in tags(10)), at=700)
    old.rise(701, "U-1")
    assert old.told == []


def test_a_condition_chatters_from_its_third_raise_in_a_minute_until_it_is_calm():
    plant = Plant()
    for at in (0, 30):
        plant.rise(at, "LT-1")
    assert plant.look(31)["chattering"] == 0
    plant.rise(60, "LT-1")
    view = plant.look(60)
    assert (view["chattering"], view["chattering_now"]) == (1, ["LT-1/high"])
    assert plant.look(62)["chattering"] == 0
    assert plant.look(63)["chattered"] == [{"name": "LT-1/high", "count": 1}]
    slow = Plant()
    for at in (0, 31, 62):
        slow.rise(at, "LT-1")
    assert slow.look(62)["chattered"] == []


def test_one_bout_of_chattering_counts_once_and_the_next_one_again():
    plant = Plant()
    for at in (*range(0, 120, 10), *range(600, 700, 10)):
        plant.rise(at, "LT-1")
    assert plant.look(800)["chattered"] == [{"name": "LT-1/high", "count": 2}]


def test_stale_is_active_for_more_than_a_day_and_a_restart_knows_it():
    plant = Plant(alarm("LT-1", -23 * HOUR), alarm("LT-2", -HOUR), alarm("LT-3", -30 * HOUR, active=False))
    assert plant.look(HOUR)["stale"] == 0
    view = plant.look(HOUR + 1)
    assert (view["stale"], view["uncleared_24h"], view["active"]) == (1, 1, 2)
    assert [one["name"] for one in view["stale_longest"]] == ["LT-1/high"]
    plant.fall(HOUR + 2, "LT-1")
    assert plant.look(HOUR + 3)["stale"] == 0


def test_a_raise_from_the_future_of_the_wall_clock_is_fresh():
    plant = Plant(alarm("LT-1", 10 * HOUR))
    assert [plant.look(at)["stale"] for at in (24 * HOUR, 24 * HOUR + 1)] == [0, 1]


def test_times_to_clear_are_measured_on_the_monotonic_clock():
    plant = Plant(alarm("LT-9", -100))
    plant.rise(0, "LT-1", "LT-2")
    plant.fall(10, "LT-1")
    plant.fall(50, "LT-2", since=-9999)  # its stamps are wrong: the clock was set meanwhile
    plant.fall(60, "LT-9", since=-100)
    assert plant.look(61)["clear"] == {
        "count": 3,
        "mean_s": 73.3,
        "longest_s": 160.0,
        "longest": "LT-9/high",
    }
    plant.rise(70, "LT-1")
    plant.fall(80, "LT-1", kind="limit_removed")
    assert plant.look(81)["clear"]["count"] == 3
    assert plant.look(25 * HOUR)["clear"] == {"count": 0, "mean_s": None, "longest_s": None, "longest": ""}


def test_disturbance_is_the_share_of_periods_with_five_new_alarms():
    plant = Plant()
    plant.rise(0, *tags(5), area="A")
    plant.rise(1, *tags(4), area="B")
    plant.rise(10 * MINUTE, *tags(3), area="A")
    plant.rise(10 * MINUTE, *tags(2), area="B")
    view = plant.look(39 * MINUTE)  # four periods; five of the site in two, of A in one, of B in none
    assert view["disturbance_percent"] == 50.0
    assert {a["area"]: a["disturbance_percent"] for a in view["areas"]} == {"A": 25.0, "B": 0.0}
    assert plant.look(24 * HOUR + 1)["disturbance_percent"] == round(100 / 144, 1)
    assert plant.look(24 * HOUR + 601)["disturbance_percent"] == 0.0


def test_repeated_points_are_ranked_and_what_has_no_point_is_called_by_its_condition():
    plant = Plant()
    for at, name in enumerate(["LT-2", "LT-1", "LT-2", "LT-3"]):
        plant.rise(at, name)
    for at in (5, 6):
        plant.load.feed([raised("plc", at, point_id="", condition="plc/comm")], now(at))
    plant.rise(6, "FT-9", "FT-9")
    assert plant.look(6)["repeated"] == [
        {"name": "FT-9", "count": 2},
        {"name": "LT-2", "count": 2},
        {"name": "plc/comm", "count": 2},
    ]


def test_what_is_said_in_brief_and_of_an_area():
    plant = Plant(at=77)
    plant.rise(80, *tags(12), area="A")
    flood = {"area": "A", "since": "2026-09-21T14:14:40.000Z", "count": 11}
    [begin] = plant.entries
    assert begin.item == {"state": "begin", **flood, "at": "2026-09-21T14:14:40.000Z"}
    brief = plant.load.brief(now(81))
    assert (brief["since"], brief["floods"]) == ("2026-09-21T14:14:37.000Z", [{**flood, "count": 12}])
    assert brief["new_last_hour"] == 12
    [area] = plant.look(81)["areas"]
    assert (area["new_last_hour"], area["new_24h"], area["new_10min"]) == (12, 12, 11), (
        "eleven are kept for a flood"
    )


def test_the_last_hour_is_the_last_six_periods():
    plant = Plant(at=77)
    plant.rise(77, "T-1", area="A")
    for at, new in ((77 + 3599, 1), (77 + 3600, 0)):
        view = plant.look(at)
        assert (view["new_last_hour"], view["areas"][0]["new_last_hour"], view["new_24h"]) == (new, new, 1)


def test_figures_are_rounded_and_of_the_time_that_was_counted():
    plant = Plant(at=77)
    plant.rise(77, *tags(1000))
    assert plant.look(77 + 60.26)["per_hour"] == 1000.0
    view = plant.look(77 + 5400.26)
    assert (view["counted_s"], view["per_hour"]) == (5400.3, 666.63)
    assert plant.look(77 + 25 * HOUR + 30)["counted_s"] == 143 * 600 + 30


def test_a_return_whose_raise_nobody_counted_is_measured_by_its_stamps_and_never_negative():
    plant = Plant()
    plant.fall(20, "LT-2", since=90)
    clear = plant.look(21)["clear"]
    assert (clear["longest_s"], clear["longest"]) == (0.0, "LT-2/high")
    plant.fall(50.34, "LT-1", since=30)
    assert plant.look(52)["clear"] == {"count": 2, "mean_s": 10.2, "longest_s": 20.3, "longest": "LT-1/high"}


def test_a_test_among_the_changes_keeps_none_from_being_counted():
    plant = Plant()
    plant.load.feed([raised("T-1", test=True), raised("T-2"), raised("T-3", advisory=True)], now(1))
    assert plant.look(2)["new_24h"] == 1


def test_chattering_is_of_the_last_three_raises():
    plant = Plant()
    for at in (0, 40, 80, 90):
        plant.rise(at, "LT-1")
    assert plant.look(90)["chattered"] == [{"name": "LT-1/high", "count": 1}]
    sharp = Plant()
    for at in (0, 60, 60):
        sharp.rise(at, "LT-1")
    assert sharp.look(60)["chattering"] == 1
    late = Plant()
    for at in (0, 30, 59):
        late.rise(at, "LT-1")
    assert [late.look(at)["chattering"] for at in (60, 61.1)] == [1, 0]
    late.look(200)
    assert late.load._raises == {}, "what is calm is not watched"


def test_what_is_watched_no_more_does_not_chatter(monkeypatch):
    monkeypatch.setattr(counting, "MAX_WATCHED", 1)
    plant = Plant()
    plant.load._chattered._most = 0
    for at in (0, 1, 2):
        plant.rise(at, "LT-1")
    plant.rise(3, "LT-2")
    view = plant.look(5)
    assert (view["chattering"], view["uncounted"]) == (0, 1)


def test_areas_beyond_the_bound_are_counted_together(monkeypatch):
    monkeypatch.setattr(counting, "MAX_AREAS", 1)
    plant = Plant()
    for area in "ABC":
        plant.rise(1, *tags(5, area), area=area)
    assert {a["area"]: (a["new_24h"], a["disturbance_percent"]) for a in plant.look(2)["areas"]} == {
        "A": (5, 100.0), "…": (10, 100.0),
    }  # fmt: skip


def test_a_tally_says_what_it_does_not_count():
    tally = counting.Tally(1)
    assert [tally.add("a"), tally.add("a"), tally.add("b")] == [1, 2, 0]
    assert (tally.uncounted, tally.totals["b"]) == (1, 0)


def test_stale_alarms_say_since_when():
    plant = Plant(alarm("LT-1", -25 * HOUR))
    assert plant.look(1)["stale_longest"] == [{"name": "LT-1/high", "since": "2026-09-20T13:13:20.000Z"}]


def test_alarms_an_hour_are_a_mean_over_an_hour_at_least():
    plant = Plant()
    plant.rise(0, *tags(6))
    assert plant.look(60)["per_hour"] == 6.0
    assert plant.look(3 * HOUR)["per_hour"] == 2.0
    assert plant.look(3 * HOUR)["new_last_hour"] == 0


@pytest.mark.parametrize("what", [{"test": True}, {"advisory": True}])
def test_tests_and_advisories_do_not_count(what):
    plant = Plant(alarm("LT-0", -1, **what))
    plant.rise(1, *tags(20), **what)
    view = plant.look(2)
    assert (plant.told, view["new_24h"], view["active"], view["areas"]) == ([], 0, 0, [])


def test_what_is_no_raise_is_no_new_alarm():
    plant = Plant()
    moves = ("escalate", "deescalate", "ack", "realarm", "shelve", "suppress", "cause", "reset")
    plant.load.feed([AlarmChanged(t, alarm()) for t in moves], now(1))
    assert plant.look(2)["new_24h"] == 0


def test_memory_is_bounded_and_what_is_not_counted_is_said(monkeypatch):
    monkeypatch.setattr(counting, "MAX_WATCHED", 50)
    monkeypatch.setattr(counting, "MAX_AREAS", 3)
    plant = Plant()
    plant.load._by_name._most = 100
    for k in range(300):
        plant.rise(k / 100, f"T-{k}", area=f"area {k % 7}")
    view = plant.look(4)
    assert view["new_24h"] == 300
    assert view["uncounted"] == 200
    assert [a["area"] for a in view["areas"]] == ["area 0", "area 1", "area 2", "…"]
    assert sum(a["new_24h"] for a in view["areas"]) == 300
    assert len(plant.load._raises) == 50
    plant.look(25 * HOUR)
    assert plant.load._by_name._size == 0
    assert not plant.load._by_name.totals


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(1, 900), st.integers(0, 14), st.sampled_from(["A", "B"])),
        min_size=1,
        max_size=40,
    )
)
def test_whatever_happens_the_counts_are_those_of_a_recount(happened):
    plant, at, all_raises, per_area = Plant(), 0, [], {"A": [], "B": []}
    flooded = {"A": False, "B": False}
    for wait, count, area in happened:
        at += wait
        for name, ones in per_area.items():
            recent = sum(at - t <= 600 for t in ones)
            flooded[name] = flooded[name] and recent >= 5
        plant.rise(at, *tags(count), area=area)
        per_area[area] += [at] * count
        all_raises += [(at, name) for name in tags(count)]
        if count and sum(at - t <= 600 for t in per_area[area]) > 10:
            flooded[area] = True
        assert {f.area for f in plant.load.floods} == {name for name, is_so in flooded.items() if is_so}
    view = plant.look(at)
    first = (at // 600 - 143) * 600
    counted = [(t, name) for t, name in all_raises if t >= first]
    assert view["new_24h"] == len(counted)
    names = [name for _, name in counted]
    assert {one["name"]: one["count"] for one in view["repeated"]} == {
        name: names.count(name)
        for name in sorted(set(names), key=lambda name: (-names.count(name), name))[:10]
        if names.count(name) > 1
    }
    disturbed = sum(
        sum(t // 600 == period for t, _ in counted) >= 5
        for period in range(max(0, first // 600), at // 600 + 1)
    )
    assert view["disturbance_percent"] == round(100 * disturbed / min(at // 600 + 1, 144), 1)
