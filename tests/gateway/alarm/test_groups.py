"""What a list shows of a flooded area."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm.groups import grouped


def alarm(area="A", kind="limit", priority=2, level="H", *, active=True, seen=False, at=1):
    return {
        "area": area, "type": kind, "priority": priority, "active": active, "acknowledged": seen,
        "level": {"current": level}, "t_raised": f"2026-11-22T03:31:{at:02d}.000Z",
    }  # fmt: skip


def test_alarms_of_a_flooded_area_are_groups_and_the_others_stay():
    flooded = [alarm(level="H", at=5), alarm(level="HH", at=7), alarm(level="H", at=2, seen=True)]
    calm = [alarm("B"), alarm("")]
    groups, rest = grouped([calm[0], *flooded, calm[1]], ["A"])
    assert rest == calm
    [group] = groups
    assert (group.area, group.type, group.priority) == ("A", "limit", 2)
    assert (group.count, group.active, group.unacknowledged) == (3, 3, 2)
    assert (group.worst, group.first) == (flooded[1], flooded[2])


def test_the_worst_of_a_group_is_one_that_is_still_active():
    gone, here = alarm(level="HH", active=False), alarm(level="H")
    assert grouped([gone, here], ["A"])[0][0].worst == here


def test_the_worst_group_comes_first():
    alarms = [
        alarm("A", "quality", 1),
        *[alarm("A", "limit", 2)] * 3,
        *[alarm("B", "limit", 2)] * 2,
        *[alarm("C", "limit", 2, seen=True)] * 9,
        alarm("B", "limit", 1),
        alarm("C", "comm", 2),
    ]
    groups, _ = grouped(alarms, ["A", "B", "C"])
    assert [(g.area, g.type, g.priority, g.count) for g in groups] == [
        ("B", "limit", 1, 1),
        ("A", "quality", 1, 1),
        ("A", "limit", 2, 3),
        ("B", "limit", 2, 2),
        ("C", "limit", 2, 9),
        ("C", "comm", 2, 1),
    ]


def test_of_groups_that_want_the_same_attention_the_larger_comes_first():
    alarms = [alarm("A"), alarm("B"), alarm("B", seen=True)]
    assert [group.area for group in grouped(alarms, ["A", "B"])[0]] == ["B", "A"]


def test_without_a_flood_nothing_is_grouped():
    alarms = [alarm(), alarm("B")]
    assert grouped(alarms, []) == ([], alarms)


areas, kinds = st.sampled_from("ABC"), st.sampled_from(["limit", "comm"])


@given(st.lists(st.builds(alarm, areas, kinds, st.integers(1, 4))), st.sets(areas))
def test_no_alarm_is_lost_or_shown_twice(alarms, floods):
    groups, rest = grouped(alarms, floods)
    shown = [id(one) for group in groups for one in group.alarms] + [id(one) for one in rest]
    assert sorted(shown) == sorted(map(id, alarms))
