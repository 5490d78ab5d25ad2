"""Limits changed by people, held over restarts, and hand edits of the table found at a start."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import Any

import pytest

from drivers.kit.scan import Point
from gateway import limit_change
from gateway.alarm.entry import Entry
from gateway.alarm.limits import Limits
from gateway.alarm.people import RefusedError, UnknownAlarmError
from gateway.instant import Now
from gateway.limit_change import APPROVE_S, TABLE, Decided, LimitBook
from gateway.plant import PointConfig

LT = PointConfig(
    Point("LT-1", "40001", range_lo=0.0, range_hi=100.0), "液位", "%", Limits(l=10.0, h=80.0, hh=90.0)
)
PT = PointConfig(Point("PT-1", "40003"), "压力", "kPa", Limits(h=5.0))
NOW = Now(0, 1_700_000_000_000_000_000)


def later(seconds: float) -> Now:
    return Now(int(seconds * 1e9), NOW.utc_ns + int(seconds * 1e9))


class Spool:
    """What a spool remembers: each entry's state, and what a start finds."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.entries: list[Entry] = []

    def start(self, *points: PointConfig, second_person: bool = False) -> LimitBook:
        book = LimitBook(points, self.state, NOW, "rev1", second_person=second_person)
        self.take(*book.begun.entries)
        self._remember(book.begun.state)
        return book

    def do(self, decided: Decided) -> Decided:
        self.take(*decided.entries)
        return decided

    def take(self, *entries: Entry) -> None:
        for entry in entries:
            self.entries.append(entry)
            self._remember(entry.state)

    def told(self) -> list[tuple[Any, ...]]:
        """Object, field, old, new, by of every change on record since the last look."""
        entries, self.entries = self.entries, []
        keys = ("object", "field", "old", "new", "by", "approved_by", "reason")
        return [tuple(e.item[key] for key in keys) for e in entries if e.kind == "config_change"]

    def _remember(self, state: dict[str, bytes | None]) -> None:
        for key, value in state.items():
            if value is None:
                self.state.pop(key, None)
            else:
                self.state[key] = value


def refusal(deed: Any, *args: Any) -> RefusedError:
    with pytest.raises(RefusedError) as caught:
        deed(*args)
    return caught.value


# --- one person --------------------------------------------------------------------------------------------


def test_a_change_is_on_record_field_by_field_and_holds() -> None:
    spool = Spool()
    book = spool.start(LT, PT)
    decided = spool.do(book.set("wang", "LT-1", {"H": 82.0, "HH": None, "L": 10.0}, "工艺变更", later(1)))
    assert decided.point_id == "LT-1"
    assert decided.limits == Limits(l=10.0, h=82.0) == book.limits("LT-1")
    assert spool.told() == [
        ("point LT-1", "H", 80.0, 82.0, "wang", "", "工艺变更"),
        ("point LT-1", "HH", 90.0, None, "wang", "", "工艺变更"),
    ]
    item = decided.entries[0].item
    assert (item["at"], item["rev"]) == ("2023-11-14T22:13:21.000Z", "rev1")
    assert book.counts == {"changed": 1, "staged": 0}
    assert book.applied([LT, PT]) == (replace(LT, limits=decided.limits), PT)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (("wang", "LT-1", {"H": 82.0}, "  "), "E-REFUSED-REASON"),
        (("wang", "LT-1", {"H": 80.0}, "x"), "E-REFUSED-LIMIT-SAME"),
        (("wang", "LT-1", {"H": 95.0}, "x"), "E-REFUSED-LIMIT-ORDER"),
        (("wang", "LT-1", {"HH": 101.0}, "x"), "E-REFUSED-LIMIT-RANGE"),
        (("wang", "LT-1", {"deadband": 1.0}, "x"), "E-NAME-LIMIT"),
    ],
)
def test_what_is_refused_changes_nothing_and_is_not_on_record(args: tuple[Any, ...], code: str) -> None:
    spool = Spool()
    book = spool.start(LT)
    assert refusal(book.set, *args, later(1)).code == code
    assert (book.limits("LT-1"), book.counts["changed"], spool.entries) == (LT.limits, 0, [])
    with pytest.raises(UnknownAlarmError):
        book.set("wang", "LT-9", {"H": 1.0}, "x", NOW)


def test_the_table_holds_again_when_people_want_it_to() -> None:
    spool = Spool()
    book = spool.start(LT)
    assert refusal(book.put_back, "wang", "LT-1", "x", NOW).code == "E-REFUSED-LIMIT-TABLE"
    with pytest.raises(UnknownAlarmError):
        book.put_back("wang", "LT-9", "x", NOW)
    spool.do(book.set("wang", "LT-1", {"H": 82.0, "L": None}, "试", NOW))
    spool.told()
    spool.do(book.put_back("li", "LT-1", "试完", later(1)))
    assert sorted(spool.told()) == [
        ("point LT-1", "H", 82.0, 80.0, "li", "", "试完"),
        ("point LT-1", "L", None, 10.0, "li", "", "试完"),
    ]
    assert book.limits("LT-1") == LT.limits
    assert [key for key in spool.state if key != TABLE] == []


def test_a_field_set_back_to_the_tables_figure_is_no_change_any_more() -> None:
    spool = Spool()
    book = spool.start(LT)
    spool.do(book.set("wang", "LT-1", {"H": 82.0, "HH": 91.0}, "a", NOW))
    spool.do(book.set("li", "LT-1", {"H": 80.0}, "b", NOW))
    (item,) = book.view()
    assert (item["limits"]["H"], item["limits"]["HH"], item["table"]["HH"]) == (80.0, 91.0, 90.0)
    assert item["changed"]["by"] == "li"


# --- two persons -------------------------------------------------------------------------------------------


def test_with_two_persons_nothing_changes_until_another_one_approves() -> None:
    spool = Spool()
    book = spool.start(LT, second_person=True)
    staged = spool.do(book.set("wang", "LT-1", {"H": 82.0}, "工艺变更", NOW))
    assert (staged.point_id, staged.changes) == ("", ({"field": "H", "old": 80.0, "new": 82.0},))
    assert (spool.told(), book.limits("LT-1")) == ([], LT.limits)
    (entry,) = staged.entries
    assert (entry.kind, entry.item["action"], entry.item["by"]) == ("operator_action", "limit_stage", "wang")
    assert entry.item["changes"] == [{"field": "H", "old": 80.0, "new": 82.0}]
    assert refusal(book.approve, "wang", staged.change_id, NOW).code == "E-REFUSED-SAME-PERSON"
    assert refusal(book.approve, "li", "LT-1@1", NOW).code == "E-REFUSED-LIMIT-ABSENT"
    assert refusal(book.set, "zhao", "LT-1", {"H": 83.0}, "x", NOW).code == "E-REFUSED-LIMIT-WAITS"
    (item,) = book.view()
    assert item["staged"]["id"] == staged.change_id
    done = spool.do(book.approve("li", staged.change_id, later(60)))
    assert (done.point_id, done.limits.h) == ("LT-1", 82.0)
    assert spool.told() == [("point LT-1", "H", 80.0, 82.0, "wang", "li", "工艺变更")]
    assert refusal(book.approve, "li", staged.change_id, NOW).code == "E-REFUSED-LIMIT-ABSENT"
    (item,) = book.view()
    assert (item["staged"], item["changed"]["approved_by"]) == (None, "li")


def test_putting_back_needs_two_persons_too() -> None:
    spool = Spool()
    book = spool.start(LT, second_person=True)
    for deed in (
        lambda: book.set("wang", "LT-1", {"H": 82.0}, "a", NOW),
        lambda: book.put_back("wang", "LT-1", "b", later(1)),
    ):
        staged = spool.do(deed())
        assert staged.point_id == ""
        spool.do(book.approve("li", staged.change_id, later(2)))
    assert book.limits("LT-1") == LT.limits


def test_a_change_can_be_rejected_or_taken_back_and_ends_by_itself() -> None:
    spool = Spool()
    book = spool.start(LT, PT, second_person=True)
    first = spool.do(book.set("wang", "LT-1", {"H": 82.0}, "a", NOW))
    rejected = spool.do(book.reject("li", first.change_id, "太高", NOW))
    assert rejected.point_id == ""
    assert (rejected.entries[0].item["action"], rejected.entries[0].item["by"]) == ("limit_reject", "li")
    spool.do(book.set("wang", "LT-1", {"H": 81.0}, "b", NOW))
    assert book.expire(later(APPROVE_S - 1)).entries == ()
    (expired,) = book.expire(later(APPROVE_S)).entries
    assert (expired.item["action"], expired.item["target"]) == ("limit_expire", "LT-1")
    assert book.counts == {"changed": 0, "staged": 0}
    assert book.expire(later(APPROVE_S)).entries == ()


def test_changes_that_wait_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limit_change, "MAX_STAGED", 1)
    book = Spool().start(LT, PT, second_person=True)
    book.set("wang", "LT-1", {"H": 82.0}, "a", NOW)
    assert refusal(book.set, "wang", "PT-1", {"H": 6.0}, "a", NOW).code == "E-REFUSED-LIMIT-MANY"


# --- over a restart ----------------------------------------------------------------------------------------


def changed_spool(values: dict[str, float | None]) -> Spool:
    spool = Spool()
    spool.do(spool.start(LT, PT).set("wang", "LT-1", values, "工艺变更", NOW))
    spool.told()
    return spool


def test_a_change_holds_over_a_restart_and_is_not_told_again() -> None:
    spool = changed_spool({"H": 82.0, "L": None})
    for _ in range(2):
        book = spool.start(LT, PT)
        assert book.limits("LT-1") == Limits(h=82.0, hh=90.0)
        assert spool.told() == []
    (item,) = book.view()
    assert (item["changed"]["by"], item["changed"]["reason"]) == ("wang", "工艺变更")


def test_the_table_wins_where_its_cell_has_changed_and_only_there() -> None:
    spool = changed_spool({"H": 82.0, "HH": 92.0})
    edited = replace(LT, limits=replace(LT.limits, h=78.0))
    book = spool.start(edited, PT)
    assert spool.told() == [("point LT-1", "H", 82.0, 78.0, "unknown", "", "")]
    assert book.limits("LT-1") == Limits(l=10.0, h=78.0, hh=92.0)
    book = spool.start(edited, PT)
    assert (spool.told(), book.limits("LT-1").hh) == ([], 92.0)


def test_another_cell_of_the_row_leaves_the_change_alone() -> None:
    spool = changed_spool({"H": 82.0})
    edited = replace(LT, limits=replace(LT.limits, l=12.0))
    book = spool.start(edited, PT)
    assert spool.told() == [("point LT-1", "L", 10.0, 12.0, "unknown", "", "")]
    assert book.limits("LT-1") == Limits(l=12.0, h=82.0, hh=90.0)


def test_a_change_that_makes_no_sense_beside_the_new_table_gives_way() -> None:
    spool = changed_spool({"H": 88.0})
    edited = replace(LT, limits=replace(LT.limits, hh=85.0))
    book = spool.start(edited, PT)
    assert book.limits("LT-1") == edited.limits
    assert sorted(spool.told()) == [
        ("point LT-1", "H", 88.0, 80.0, "unknown", "", ""),
        ("point LT-1", "HH", 90.0, 85.0, "unknown", "", ""),
    ]
    assert spool.start(edited, PT).counts["changed"] == 0


def test_a_table_that_took_over_the_changed_figure_is_no_change() -> None:
    spool = changed_spool({"H": 82.0})
    book = spool.start(replace(LT, limits=replace(LT.limits, h=82.0)), PT)
    assert (spool.told(), book.counts["changed"]) == ([], 0)
    assert [key for key in spool.state if key != TABLE] == []


def test_hand_edits_of_the_table_are_told_limit_by_limit() -> None:
    spool = Spool()
    spool.start(LT, PT)
    assert spool.told() == [], "nobody knows what was before the first start"
    edited = replace(LT, limits=Limits(l=10.0, h=80.0, deadband={"H": 5.0}))
    new = replace(PT, point=Point("PT-2", "40005"))
    spool.start(edited, new)
    assert sorted(spool.told(), key=str) == [
        ("point LT-1", "HH", 90.0, None, "unknown", "", ""),
        ("point LT-1", "deadband H", None, 5.0, "unknown", "", ""),
        ("point PT-1", "H", 5.0, None, "unknown", "", ""),
    ]
    spool.start(edited, new)
    assert spool.told() == []


def test_a_change_of_a_point_that_is_gone_is_told_and_forgotten() -> None:
    spool = changed_spool({"H": 82.0})
    book = spool.start(PT)
    assert ("point LT-1", "H", 82.0, None, "unknown", "", "") in spool.told()
    assert book.counts["changed"] == 0
    assert [key for key in spool.state if key != TABLE] == []


def test_a_whole_new_table_is_told_up_to_a_bound_and_the_rest_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limit_change, "MAX_TOLD", 2)
    spool = Spool()
    spool.start(LT, PT)
    spool.start()
    assert len(spool.entries) == 3
    assert spool.entries[-1].item["more"] == 2


ODD = b'{"values":%b,"table":{"H":80.0},"by":"","approved_by":"","reason":"","at_ns":%b}'


@pytest.mark.parametrize(
    "bytes_",
    [
        *(b"", b"[]", b"{", b'{"values":1}', ODD % (b'{"Z":1.0}', b"1"), ODD % (b'{"H":"9"}', b"1")),
        *(ODD % (b"[1]", b"1"), ODD % (b'{"H":82.0}', b'"x"')),
    ],
)
def test_what_cannot_be_read_leaves_the_table_and_is_told(bytes_: bytes) -> None:
    spool = changed_spool({"H": 82.0})
    spool.state["limit/LT-1"] = bytes_
    book = spool.start(LT, PT)
    assert book.limits("LT-1") == LT.limits
    assert [entry.kind for entry in spool.entries] == ["limits_unreadable"]
    assert spool.entries[0].item == {"states": ["limit/LT-1"]}
    spool.entries.clear()
    spool.start(LT, PT)
    assert spool.entries == []


def test_a_lost_table_tells_no_changes_and_is_kept_anew() -> None:
    spool = changed_spool({"H": 82.0})
    for lost in (b"{", *(zlib.compress(odd) for odd in (b"{", b"[]", b'{"LT-1":5}'))):
        spool.state[TABLE] = lost
        book = spool.start(LT, PT)
        assert (spool.told(), book.limits("LT-1").h) == ([], 82.0)
        assert zlib.decompress(spool.state[TABLE]).startswith(b'{"LT-1"')


def test_everything_can_be_seen() -> None:
    filed = replace(PT, limits=Limits(h=5.0, filed={"H": 4.5}))
    none = PointConfig(Point("FT-1", "40009"))
    book = Spool().start(LT, filed, none)
    assert book.view() == []
    assert [item["name"] for item in book.view(everything=True)] == ["LT-1", "PT-1"]
    assert book.view(everything=True)[1]["looser_than_filed"] == ["H"]
    assert book.view(everything=True)[1]["filed"]["H"] == 4.5
