import pytest

from gateway.alarm.holds import MAX_HELD
from gateway.alarm.life import Subject
from gateway.alarm.limits import NEVER
from gateway.alarm.people import (
    Acknowledge,
    AlarmSettings,
    Held,
    Hold,
    RefusedError,
    Release,
    Reset,
    UnknownAlarmError,
    held,
)
from gateway.alarm.register import START_S, Register
from gateway.instant import Now

S = 10**9
UTC = 1_790_000_000 * S
COND = "LT-1/high"
TANK = Subject("LT-1", "plc", "罐区", 1, "1号罐液位")


def now(second=0.0):
    return Now(int(second * S), UTC + int(second * S))


class Desk:
    """A register that knows some conditions, and what it said since the last look."""

    def __init__(self, *subjects, standing=(), holds=(), settings=None, **conditions):
        self.register = Register(standing, holds, now(), settings or AlarmSettings())
        for condition, subject in {COND: subjects[0] if subjects else TANK, **conditions}.items():
            self.register.know(condition, subject)
        self.sirens = self.changes = self.entries = ()

    def look(self):
        self.sirens, self.changes, self.entries = self.register.take()
        return [(c.transition, c.alarm.condition) for c in self.changes]

    def up(self, condition=COND, at=20.0, level="H", **more):
        self.register.raised(condition, "limit", level, now(at), value=85.0, **more)
        return self.look()

    def down(self, condition=COND, at=21.0):
        self.register.cleared(condition, "returned", 70.0, 85.0, now(at))
        return self.look()

    def do(self, command, at=22.0, actor="wang"):
        self.register.command(actor, command, now(at))
        return self.look()

    def wait(self, at):
        self.register.tick(now(at))
        return self.look()

    def live(self, condition=COND):
        return self.register.alarms[condition]

    def ack(self, condition=COND, at=22.0):
        return self.do(Acknowledge(self.live(condition).alarm_id, "看到"), at)


def test_a_raise_carries_what_its_condition_is_about():
    desk = Desk()
    assert desk.up(limit=(80.0, 75.0), cause="") == [("raise", COND)]
    alarm = desk.live()
    assert (alarm.point_id, alarm.source, alarm.area, alarm.priority) == ("LT-1", "plc", "罐区", 1)
    assert (alarm.text, alarm.type, alarm.level_start, alarm.value, alarm.peak) == (
        "1号罐液位", "limit", "H", 85.0, 85.0,
    )  # fmt: skip
    assert (alarm.limit_edge, alarm.limit_filed) == (80.0, 75.0)
    assert (alarm.raised_ns, alarm.changed_ns) == (now(20).utc_ns, now(20).utc_ns)
    assert desk.sirens == desk.changes
    assert desk.look() == [], "told once"


def test_of_a_raise_without_more_nothing_is_made_up():
    desk = Desk()
    desk.up(at=1)
    alarm = desk.live()
    assert (alarm.cause, alarm.suppressed, alarm.at_start, alarm.first_out) == ("", "", False, False)
    assert (alarm.limit_edge, alarm.limit_filed, alarm.repeat_count) == (None, None, 0)


def test_it_ends_when_it_has_returned_and_was_acknowledged_in_either_order():
    for first, second in (("down", "ack"), ("ack", "down")):
        desk = Desk()
        desk.up()
        getattr(desk, first)()
        assert COND in desk.register.alarms
        getattr(desk, second)()
        assert desk.register.alarms == {}


def test_an_acknowledgement_names_the_alarm_that_is_there_and_is_journalled():
    desk = Desk()
    desk.up()
    alarm_id = desk.live().alarm_id
    assert desk.ack() == [("ack", COND)]
    [entry] = desk.entries
    assert entry.kind == "operator_action"
    assert entry.item == {
        "action": "ack", "target": COND, "by": "wang", "reason": "看到", "at": "2026-09-21T14:13:42.000Z",
    }  # fmt: skip
    assert desk.ack() == [], "a second one changes nothing"
    assert desk.entries == ()
    with pytest.raises(UnknownAlarmError, match="nothing@1"):
        desk.do(Acknowledge("nothing@1"))
    desk.down()
    with pytest.raises(UnknownAlarmError):
        desk.do(Acknowledge(alarm_id))


def test_a_new_excursion_is_a_new_alarm_and_counts_its_repeats():
    desk = Desk()
    desk.up()
    first = desk.live().alarm_id
    desk.down()
    desk.up(at=23)
    assert desk.live().alarm_id != first
    assert desk.live().repeat_count == 1
    with pytest.raises(UnknownAlarmError):
        desk.register.find(first)
    assert desk.register.find(desk.live().alarm_id) == desk.live()
    desk.ack(at=24)
    desk.down(at=25)
    desk.up(at=26)
    assert desk.live().repeat_count == 0


def test_two_excursions_of_one_instant_or_of_a_clock_set_back_have_two_ids():
    desk = Desk(**{"LT-2/high": TANK})
    desk.up(at=20)
    desk.down(at=20)
    first = desk.live().alarm_id
    desk.up(at=19)
    assert desk.live().alarm_id != first
    with pytest.raises(AssertionError, match="two excursions"):
        desk.up(at=30)


def test_a_latched_alarm_stays_until_it_is_reset():
    desk = Desk(Subject("LT-1", "plc", latching=True))
    desk.up()
    alarm_id = desk.live().alarm_id
    for refused in ("while active", "while unacknowledged"):
        with pytest.raises(RefusedError) as told:
            desk.do(Reset(alarm_id))
        assert told.value.code == "E-REFUSED-RESET", refused
        desk.down() if refused == "while active" else desk.ack()
    assert desk.live().latched
    assert desk.do(Reset(alarm_id, "查看完毕")) == [("reset", COND)]
    item = desk.entries[0].item
    assert (item["action"], item["target"], item["by"], item["reason"]) == ("reset", COND, "wang", "查看完毕")
    assert desk.register.alarms == {}


def test_an_alarm_that_does_not_latch_cannot_be_reset():
    desk = Desk()
    desk.up()
    desk.down()
    alarm_id = desk.live().alarm_id
    with pytest.raises(RefusedError) as told:
        desk.do(Reset(alarm_id))
    assert (told.value.code, told.value.facts) == ("E-REFUSED-RESET", {"alarm_id": alarm_id})


# -- holds --------------------------------------------------------------------------------------------


def test_a_shelf_is_told_once_sounds_nothing_and_ends_by_itself():
    desk = Desk()
    desk.up()
    assert desk.do(Hold("shelve", COND, "维修", 60.0)) == [("shelve", COND)]
    assert [c.transition for c in desk.sirens] == ["shelve"], "so that the horn falls silent"
    assert (desk.live().changed_ns, desk.live().shelved_until_ns) == (now(22).utc_ns, now(82).utc_ns)
    [entry] = desk.entries
    assert (entry.item["by"], entry.item["reason"], entry.item["until"]) == (
        "wang", "维修", "2026-09-21T14:14:42.000Z",
    )  # fmt: skip
    assert desk.register.next_deadline == 82 * S
    assert desk.down() == [("clear", COND)]
    assert desk.sirens == ()
    assert desk.up(at=40) == [("raise", COND)], "it is on record all the same"
    assert desk.sirens == ()
    assert desk.live().shelved_until_ns == now(82).utc_ns
    assert desk.wait(81.9) == []
    assert desk.wait(82) == [("unshelve", COND)]
    assert [c.transition for c in desk.sirens] == ["unshelve"]
    assert desk.live().shelved_until_ns == 0
    assert desk.entries[0].item["action"] == "unshelve"
    item = desk.entries[0].item
    assert (item["by"], item["reason"], item["at"]) == ("", "expired", "2026-09-21T14:14:42.000Z")
    assert desk.entries[0].state == {f"hold/shelve/{COND}": None}
    assert desk.register.next_deadline == NEVER


@pytest.mark.parametrize(
    ("hold", "code"),
    [
        (Hold("shelve", COND, " ", 60.0), "E-REFUSED-REASON"),
        (Hold("shelve", COND, "x", 0.0), "E-REFUSED-LONG"),
        (Hold("shelve", COND, "x", 28_800.1), "E-REFUSED-LONG"),
        (Hold("out_of_service", "LT-1", "x", 30 * 86_400.1), "E-REFUSED-LONG"),
    ],
)
def test_a_hold_needs_a_reason_and_an_end_within_bounds(hold, code):
    desk = Desk()
    desk.up()
    with pytest.raises(RefusedError) as told:
        desk.do(hold)
    assert told.value.code == code
    assert desk.look() == []
    assert desk.register.holds.standing == {}


def test_the_longest_holds_are_allowed():
    desk = Desk()
    desk.do(Hold("shelve", COND, "x", 28_800.0))
    desk.do(Hold("out_of_service", "LT-1", "x", 30 * 86_400.0))
    assert len(desk.register.holds.standing) == 2


def test_holds_are_bounded_and_one_that_stands_may_be_renewed():
    conditions = {f"P-{k}/high": Subject(f"P-{k}", "plc") for k in range(MAX_HELD)}
    desk = Desk(**conditions)
    for condition in conditions:
        desk.do(Hold("shelve", condition, "x", 60.0))
    with pytest.raises(RefusedError) as told:
        desk.do(Hold("shelve", COND, "x", 60.0))
    assert told.value.code == "E-REFUSED-HELD"
    desk.do(Hold("shelve", "P-0/high", "longer", 90.0))
    assert desk.register.holds.standing["shelve", "P-0/high"].reason == "longer"


def test_a_point_out_of_service_holds_all_its_conditions_and_comes_back():
    desk = Desk(**{"LT-1/low": TANK, "LT-2/high": Subject("LT-2", "plc")})
    desk.up()
    desk.up("LT-2/high")
    assert desk.do(Hold("out_of_service", "LT-1", "检修", 60.0)) == [("out_of_service", COND)]
    assert desk.up("LT-1/low", at=25) == [("raise", "LT-1/low")]
    assert desk.sirens == ()
    assert desk.live("LT-1/low").out_of_service
    assert not desk.live("LT-2/high").out_of_service
    back = desk.do(Release("in_service", "LT-1", "修好"), at=30, actor="li")
    assert back == [("in_service", COND), ("in_service", "LT-1/low")]
    assert [c.by for c in desk.changes] == ["li", "li"]
    assert [c.transition for c in desk.sirens] == ["in_service", "in_service"]
    item = desk.entries[0].item
    assert (item["action"], item["by"], item["reason"]) == ("in_service", "li", "修好")
    assert [c.reason for c in desk.changes] == ["修好", "修好"]


def test_a_condition_out_of_service_is_so_from_its_raise_to_the_end_of_the_hold():
    desk = Desk(**{"LT-1/low": TANK})
    desk.do(Hold("out_of_service", COND, "检修", 60.0))
    desk.do(Hold("out_of_service", "LT-1/low", "检修", 600.0))
    desk.up()
    desk.up("LT-1/low")
    assert desk.live().out_of_service
    desk.do(Hold("out_of_service", "LT-1", "整个点检修", 60.0))
    assert desk.wait(82) == [("in_service", COND)], "the other one has a hold of its own, which is longer"
    assert desk.live("LT-1/low").out_of_service
    other = Desk(**{"LT-1/low": TANK})
    other.do(Hold("out_of_service", COND, "检修", 600.0))
    other.do(Hold("out_of_service", "LT-1", "整个点检修", 60.0))
    other.up()
    other.up("LT-1/low")
    assert other.wait(82) == [("in_service", "LT-1/low")]


def test_what_another_hold_holds_too_stays_held():
    desk = Desk()
    desk.up()
    desk.do(Hold("shelve", COND, "a", 60.0))
    desk.do(Hold("shelve", "LT-1", "b", 120.0))
    assert desk.do(Release("unshelve", COND)) == []
    assert desk.live().shelved_until_ns
    assert desk.do(Release("unshelve", "LT-1")) == [("unshelve", COND)]


def test_a_target_is_a_tag_a_condition_or_an_alarm_and_nothing_else():
    desk = Desk()
    desk.up()
    desk.do(Hold("shelve", desk.live().alarm_id, "x", 60.0))
    assert [*desk.register.holds.standing] == [("shelve", COND)]
    for unknown in ("", "LT-9", "high"):
        with pytest.raises(UnknownAlarmError, match=f"^{unknown}$"):
            desk.do(Hold("shelve", unknown, "x", 60.0))
    with pytest.raises(RefusedError) as told:
        desk.do(Release("in_service", "LT-1"))
    assert (told.value.code, told.value.facts) == ("E-REFUSED-NOT-HELD", {"target": "LT-1"})


@pytest.mark.parametrize(
    ("restart_s", "left_s"), [(30.0, 52.0), (82.0, 0.0), (500.0, 0.0), (-1e6, 60.0)], ids=str
)
def test_a_hold_survives_a_restart_and_never_lasts_longer_than_it_was_meant_to(restart_s, left_s):
    desk = Desk()
    desk.up()
    desk.do(Hold("shelve", COND, "维修", 60.0))
    [state] = desk.entries[0].state.values()
    clock = Now(5 * S, now(restart_s).utc_ns)
    again = Register([desk.live()], [held(state)], clock, AlarmSettings())
    again.know(COND, TANK)
    assert again.next_deadline == 5 * S + int(left_s * S)
    again.tick(Now(5 * S + int(left_s * S), clock.utc_ns))
    assert [c.transition for c in again.take()[1]] == ["unshelve"]


def test_a_box_that_starts_without_the_time_does_not_begin_a_hold_afresh_at_every_start():
    shelf = Held("shelve", COND, "wang", "维修", UTC, UTC + 60 * S)
    for seen_s, left_s in ((0.0, 60.0), (45.0, 15.0), (90.0, 0.0)):
        clock = Now(5 * S, 1_000_000_000 * S)
        again = Register((), [shelf], clock, AlarmSettings(), UTC + int(seen_s * S))
        assert again.holds.next_deadline == 5 * S + int(left_s * S)


def test_what_remembers_a_hold_that_is_lost_is_heard_again_and_a_hold_holds_what_forgot_it():
    desk = Desk()
    desk.up()
    heard = desk.live()
    desk.do(Hold("shelve", COND, "维修", 60.0))
    [shelf] = [held(state) for state in desk.entries[0].state.values()]
    desk.do(Hold("out_of_service", "LT-1", "维修", 60.0))

    lost = Desk(standing=[desk.live()])
    assert lost.look() == [("unshelve", COND), ("in_service", COND)]
    assert [c.transition for c in lost.sirens] == ["in_service"]
    assert [(c.by, c.reason) for c in lost.changes] == [("", "restart"), ("", "restart")]
    assert lost.wait(3600.0) == []

    forgot = Desk(standing=[heard], holds=[shelf])
    assert forgot.look() == [("shelve", COND)]
    assert forgot.live().shelved_until_ns == shelf.until_ns
    assert forgot.wait(3600.0) == [("unshelve", COND)]

    desk.do(Hold("out_of_service", COND, "维修", 60.0))
    [out] = [held(state) for state in desk.entries[0].state.values()]
    forgot = Desk(standing=[heard], holds=[out])
    assert forgot.look() == [("out_of_service", COND)]
    assert [c.reason for c in forgot.changes] == ["restart"]
    assert forgot.wait(3600.0) == [("in_service", COND)]


# -- suppression, doubt, first out, calling again -----------------------------------------------------


def test_suppression_is_told_on_what_is_active_and_sounds_nothing():
    desk = Desk(**{"LT-1/low": TANK})
    desk.up()
    desk.register.suppressed((COND, "LT-1/low", "LT-1/none"), "maintenance", now(21))
    assert desk.look() == [("suppress", COND)]
    assert desk.live().suppressed == "maintenance"
    desk.register.suppressed((COND,), "maintenance", now(22))
    assert desk.look() == [], "the same reason is no news"
    desk.register.suppressed((COND,), "calibration", now(22))
    assert desk.look() == [("suppress", COND)]
    assert desk.up("LT-1/low", suppressed="calibration") == [("raise", "LT-1/low")]
    assert desk.sirens == ()
    desk.register.suppressed((COND, "LT-1/low"), "", now(23))
    assert desk.look() == [("unsuppress", COND), ("unsuppress", "LT-1/low")]
    assert len(desk.sirens) == 2


def test_a_returned_alarm_is_not_suppressed_any_more_but_released():
    desk = Desk()
    desk.up()
    desk.register.suppressed((COND,), "maintenance", now(21))
    desk.look()
    desk.down()
    desk.register.suppressed((COND,), "calibration", now(22))
    assert desk.look() == []
    desk.register.suppressed((COND,), "", now(23))
    assert desk.look() == [("unsuppress", COND)]


def test_what_is_last_known_is_marked_and_no_change():
    desk = Desk()
    desk.up()
    desk.register.doubted((COND, "LT-1/low"), last_known=True)
    assert desk.look() == []
    assert desk.live().last_known
    assert desk.ack() == [("ack", COND)]
    assert desk.changes[0].alarm.last_known
    desk.register.doubted((COND,), last_known=False)
    assert not desk.live().last_known


def test_the_first_of_a_group_is_marked_until_all_have_returned():
    trip = {k: Subject(f"P-{k}", "plc", first_out="停车") for k in "abc"}
    desk = Desk(**{f"P-{k}/high": one for k, one in trip.items()})
    for k in "ba":
        desk.up(f"P-{k}/high")
    desk.up()
    assert [desk.live(f"P-{k}/high").first_out for k in "ba"] == [True, False]
    assert not desk.live().first_out, "of no group"
    desk.down("P-b/high")
    desk.up("P-c/high")
    assert not desk.live("P-c/high").first_out, "one of the group still stands"
    desk.down("P-a/high")
    desk.down("P-c/high")
    desk.up("P-a/high", at=30)
    assert desk.live("P-a/high").first_out


def test_a_group_remembers_over_a_restart_that_one_of_it_stands():
    trip = Subject("P-a", "plc", first_out="停车")
    desk = Desk(trip)
    desk.up()
    again = Desk(trip, standing=[desk.live()], **{"P-b/high": Subject("P-b", "plc", first_out="停车")})
    again.up("P-b/high")
    assert not again.live("P-b/high").first_out
    again.down("P-b/high")
    again.down()
    again.up("P-b/high", at=30)
    assert again.live("P-b/high").first_out, "when that one has returned, too, a new trip begins"


def test_an_alarm_that_stands_long_after_its_acknowledgement_calls_again():
    again = Subject("LT-1", "plc", re_alarm_s=600.0)
    desk = Desk(again)
    desk.up()
    assert desk.register.next_deadline == NEVER
    desk.ack(at=30)
    assert desk.register.next_deadline == 630 * S
    assert desk.wait(629.9) == []
    assert desk.wait(630) == [("realarm", COND)]
    assert [c.transition for c in desk.sirens] == ["realarm"]
    assert not desk.live().acknowledged
    assert desk.wait(5000) == [], "not before it is acknowledged again"
    desk.ack(at=6000)
    restarted = Desk(again, standing=[desk.live()])
    assert restarted.wait(599) == []
    assert restarted.wait(600) == [("realarm", COND)], "afresh after a restart"


def test_what_has_returned_or_escalated_does_not_call_again():
    desk = Desk(Subject("LT-1", "plc", re_alarm_s=600.0))
    desk.up()
    desk.ack()
    desk.register.relevelled(COND, "HH", 95.0, 95.0, (90.0, None), now(23))
    assert desk.look() == [("escalate", COND)]
    assert (desk.live().value, desk.live().peak, desk.live().limit_edge) == (95.0, 95.0, 90.0)
    assert desk.register.next_deadline == NEVER
    desk.ack()
    desk.down()
    assert desk.register.next_deadline == NEVER
    other = Desk(Subject("LT-1", "plc", re_alarm_s=600.0))
    other.up()
    other.down()
    other.ack()
    assert other.register.next_deadline == NEVER


# -- the start ----------------------------------------------------------------------------------------


def test_what_is_there_at_the_start_sounds_once_and_is_all_on_record():
    desk = Desk(
        **{f"P-{k}/high": Subject(f"P-{k}", "plc", priority=p) for k, p in enumerate((2, 2, 1, 1, 3))}
    )
    sounded = []
    for k in range(5):
        assert desk.up(f"P-{k}/high", at=1.0 + k, first_reading=True) == [("raise", f"P-{k}/high")]
        sounded += [c.alarm.condition for c in desk.sirens]
        assert desk.live(f"P-{k}/high").at_start
    assert sounded == ["P-0/high", "P-2/high"], "the first, and one that is worse than any before it"
    assert desk.register.next_deadline == int(START_S * S)
    assert desk.wait(START_S) == []
    [entry] = desk.entries
    assert entry.kind == "alarms_at_start"
    assert (entry.item["count"], entry.item["at"]) == (5, "2026-09-21T14:13:30.000Z")
    assert entry.item["alarms"] == [desk.live(f"P-{k}/high").alarm_id for k in range(5)]
    assert desk.register.next_deadline == NEVER
    assert desk.wait(20) == []
    assert desk.entries == ()


def test_what_comes_later_or_was_read_before_sounds_by_itself():
    desk = Desk(**{"P-1/high": Subject("P-1", "plc"), "P-2/high": Subject("P-2", "plc")})
    desk.up(at=1, first_reading=True)
    desk.up("P-1/high", at=2, first_reading=False)
    assert len(desk.sirens) == 1
    assert not desk.live("P-1/high").at_start
    desk.up("P-2/high", at=START_S, first_reading=True)
    assert len(desk.sirens) == 1
    assert not desk.live("P-2/high").at_start


def test_what_is_suppressed_at_the_start_does_not_use_up_the_one_sound():
    desk = Desk(**{"P-1/high": Subject("P-1", "plc")})
    desk.up(at=1, first_reading=True, suppressed="maintenance")
    assert desk.sirens == ()
    desk.up("P-1/high", at=1, first_reading=True)
    assert len(desk.sirens) == 1


# -- other --------------------------------------------------------------------------------------------


def test_pictures_are_attached_to_what_lives_and_bounded():
    desk = Desk()
    desk.up()
    for k in range(20):
        desk.register.attach(desk.live().alarm_id, f"cam@{k}")
    assert desk.live().snapshot_ids == tuple(f"cam@{k}" for k in range(4, 20))
    desk.register.attach("nothing@1", "cam@99")
    assert desk.look() == []


def test_a_cause_may_change_while_the_alarm_stands():
    desk = Desk(**{"LT-1/quality": TANK})
    desk.register.raised("LT-1/quality", "quality", "BAD", now(20), cause="comm")
    desk.register.caused("LT-1/quality", "FROZEN", "frozen", now(21))
    assert desk.look() == [("raise", "LT-1/quality"), ("cause", "LT-1/quality")]
    assert (desk.live("LT-1/quality").cause, desk.live("LT-1/quality").level_current) == ("frozen", "FROZEN")
    assert desk.register.is_active("LT-1/quality")
    assert not desk.register.is_active(COND)
    assert desk.register.knows(COND)
    assert not desk.register.knows("other")


def test_advice_is_on_record_and_never_sounds():
    desk = Desk(Subject("", "V-1", advisory=True))
    assert desk.up() == [("raise", COND)]
    assert desk.live().advisory
    assert desk.sirens == ()
