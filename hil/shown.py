"""What the demo must have shown beside a clean delivery: four things, each from what arrived and what stood. Pure.

The story says which tank, contact and warning it was about, and nothing more: whether it happened is read from the
durable record, the receivers' logs, the siren's file and the gateway's own statuses.

1. An excursion escalates in place: one record H, HH, H, clear, its changes numbered without a gap, with pictures.
2. A PLC that is gone leaves its alarm standing, as last known, beside the alarm of the lost communication; only a good
   value on the safe side clears it.
3. A shelved alarm is on record and at the authorities, marked; it does not sound; its shelf ends by itself, and what
   still stands then is heard.
4. A warning from above stands beside the alarms; the feedback of a person arrives where it came from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from hil.evidence import Evidence, Item, Received
from hil.witness import Stood

UP_AND_DOWN: Final = ("H", "HH", "H", "clear")
RECORD: Final = "record"
LEVELLING: Final = frozenset({"raise", "escalate", "deescalate"})


class Subjects(NamedTuple):
    """Which parts of the plant the story was about.

    Attributes:
        tank: tag of the level that goes up to HH and back.
        standing: tag of the level that is high while its PLC is gone.
        plc: that PLC.
        shelved: tag that is shelved.
        authority: recipient that warns.
        warning: id of its warning.
    """

    tank: str
    standing: str
    plc: str
    shelved: str
    authority: str
    warning: str


@dataclass(slots=True)
class Shown:
    """One of the four.

    Attributes:
        figures: for the JSON verdict.
        problems: what was not seen, a line each.
    """

    figures: dict[str, Any]
    problems: list[str] = field(default_factory=list)

    def need(self, seen: object, problem: str) -> None:
        """Whatever was not seen is a problem."""
        if not seen:
            self.problems.append(problem)


def judge_shown(evidence: Evidence, subjects: Subjects) -> dict[str, Shown]:
    """All four, by their name in the JSON verdict."""
    found = {
        "escalation": escalation(evidence, subjects.tank),
        "lost_plc": lost_plc(evidence, subjects.standing, subjects.plc),
        "shelf": shelf(evidence, subjects.shelved),
        "warning": warning(evidence, subjects.authority, subjects.warning),
    }
    for one in found.values():
        one.figures = {"seen": not one.problems, **one.figures}
    return found


# -- one record, up and down --------------------------------------------------------------------------


def escalation(evidence: Evidence, tag: str) -> Shown:
    """Of a level's one excursion: one alarm id, dense, H to HH and back, with its pictures."""
    shown = Shown({"tag": tag, "alarm_id": "", "levels": [], "changes": 0, "snapshots": 0})
    got = {RECORD: evidence.record, **{name: one.alarms for name, one in evidence.received.items()}}
    for whose, items in got.items():
        changes = _changes(items, tag, "limit")
        ids = {item["alarm_id"] for item in changes}
        if len(ids) != 1:
            shown.problems.append(f"{whose}: one excursion of {tag} has {len(ids)} records")
            continue
        pictures = evidence.received[whose].pictures if whose in evidence.received else None
        _one_record(shown, f"{whose}: {tag}", changes, pictures)
        shown.need(
            changes == _changes(evidence.record, tag, "limit"), f"{whose}: {tag}: not as in the record"
        )
        last = changes[-1]
        shown.figures.update(alarm_id=last["alarm_id"], levels=_path(changes), changes=len(changes))
        shown.figures["snapshots"] = len(last["snapshot_ids"])
    return shown


def _one_record(shown: Shown, what: str, changes: Sequence[Item], pictures: set[str] | None) -> None:
    last, path = changes[-1], _path(changes)
    numbers = [item["change_no"] for item in changes]
    shown.need(numbers == list(range(1, len(changes) + 1)), f"{what}: its changes are numbered {numbers}")
    shown.need(tuple(path) == UP_AND_DOWN, f"{what}: it went {'→'.join(path)}")
    levels = last["level"]["start"], last["level"]["worst"]
    shown.need(levels == ("H", "HH"), f"{what}: its record says start {levels[0]}, worst {levels[1]}")
    shown.need(last["snapshot_ids"], f"{what}: its record names no picture")
    missing = [] if pictures is None else [one for one in last["snapshot_ids"] if one not in pictures]
    shown.need(not missing, f"{what}: pictures {missing} did not arrive")


def _path(changes: Sequence[Item]) -> list[str]:
    return [
        "clear" if item["transition"] == "clear" else item["level"]["current"]
        for item in changes
        if item["transition"] in LEVELLING or item["transition"] == "clear"
    ]


# -- a PLC that is gone -------------------------------------------------------------------------------


def lost_plc(evidence: Evidence, tag: str, plc: str) -> Shown:
    """A level that is high while its PLC is gone."""
    shown = Shown({"tag": tag, "alarm_id": "", "comm_alarm_id": "", "last_known": False, "cleared_by": None})
    for name, got in evidence.received.items():
        changes, outages = _changes(got.alarms, tag, "limit"), list(_outages(got, plc))
        outage = next((one for one in outages if _stood_before(changes, one[0])), None)
        if outage is None:
            shown.problems.append(f"{name}: {tag} was not in alarm when {plc} was lost")
            continue
        _stood_through(shown, f"{name}: {tag}", changes, got, outage)
        shown.figures["comm_alarm_id"] = outage[2]
    together = 0
    for look in evidence.looks:
        lost = _stood(look.alarms, shown.figures["comm_alarm_id"])
        level = _stood(look.alarms, shown.figures["alarm_id"])
        if lost is not None and lost.active:
            shown.need(level is not None and level.active, f"status: {plc} lost, {tag} not in alarm")
            together += level is not None and level.active and level.last_known
    shown.figures["last_known"] = together > 0
    shown.need(together, f"status: {tag} never stood as last known beside the loss of {plc}")
    return shown


def _outages(got: Received, plc: str) -> Iterator[tuple[str, str, str]]:
    """From, to and alarm id of each time the source was gone and came back."""
    comm = [item for item in got.alarms if item["type"] == "comm" and item["source"] == plc]
    for item in comm:
        if item["transition"] == "clear":
            yield item["t_raised"], item["t_cleared"], item["alarm_id"]


def _stood_before(changes: Sequence[Item], at: str) -> bool:
    """Whether the level was in alarm at this instant."""
    before = [item for item in changes if item["t_changed"] <= at]
    return bool(before) and before[-1]["active"]


def _stood_through(
    shown: Shown, what: str, changes: Sequence[Item], got: Received, outage: tuple[str, str, str]
) -> None:
    from_, to, _ = outage
    ids = {item["alarm_id"] for item in changes}
    shown.need(len(ids) == 1, f"{what}: one excursion has {len(ids)} records")
    shown.figures["alarm_id"] = changes[0]["alarm_id"]
    marked = [item for item in changes if from_ <= item["t_changed"] <= to and item["last_known"]]
    shown.need(marked, f"{what}: no change of it came marked as last known")
    clear = next((item for item in changes if item["transition"] == "clear"), None)
    if clear is None:
        shown.problems.append(f"{what}: it never cleared")
        return
    shown.need(clear["t_cleared"] >= to, f"{what}: it cleared while its PLC was gone")
    by = [
        one
        for one in got.values.get(clear["point_id"], ())
        if one.good and one.value == clear["value"] and from_ < one.at <= clear["t_cleared"]
    ]
    limit = changes[0]["limit_edge"]
    shown.need(
        any(one.value is not None and one.value < limit for one in by), f"{what}: no good value cleared it"
    )
    shown.figures["cleared_by"] = clear["value"]


# -- a shelf ------------------------------------------------------------------------------------------


def shelf(evidence: Evidence, tag: str) -> Shown:
    """An alarm that comes up under a shelf, and outlasts it."""
    shown = Shown({"tag": tag, "alarm_id": "", "by": "", "until": "", "ended_by_itself": False})
    for name, got in evidence.received.items():
        what = f"{name}: {tag}"
        deeds = [item for item in got.of("operator_action") if item["target"] == tag]
        begun = next(
            (one for one in deeds if one["action"] == "shelve" and one["by"] and one["reason"]), None
        )
        ended = next((one for one in deeds if one["action"] == "unshelve"), None)
        changes = _changes(got.alarms, tag, "digital")
        raised = next((one for one in changes if one["transition"] == "raise"), None)
        shown.need(begun, f"{what}: nobody is on record for a shelf, with a reason")
        shown.need(raised and raised["shelved_until"], f"{what}: no raise came marked as shelved")
        expired = ended is not None and ended["reason"] == "expired" and not ended["by"]
        shown.need(expired, f"{what}: its shelf did not end by itself")
        heard = any(one["transition"] == "unshelve" and one["active"] for one in changes)
        shown.need(heard, f"{what}: the alarm did not outlast its shelf")
        if begun and raised:
            shown.figures.update(alarm_id=raised["alarm_id"], by=begun["by"], until=begun["until"])
        shown.figures["ended_by_itself"] = expired
    _silent(shown, evidence, tag)
    return shown


def _silent(shown: Shown, evidence: Evidence, tag: str) -> None:
    """The siren said nothing of it before the shelf's end, and something then; the status showed both."""
    alarm_id = shown.figures["alarm_id"]
    told = [item["transition"] for item in evidence.sounded if item["alarm_id"] == alarm_id]
    shown.need("raise" not in told, f"siren: {tag} sounded though it was shelved")
    shown.need(told[:1] == ["unshelve"], f"siren: {tag} was not heard at the end of its shelf")
    held = [look for look in evidence.looks if _is(look.alarms, alarm_id, shelved=True) and look.shelved]
    shown.need(held, f"status: {tag} was never shown as shelved")
    shown.need(
        not any(alarm_id in look.because for look in held),
        f"status: a horn was on for {tag}, which was shelved",
    )
    after = any(_is(look.alarms, alarm_id, shelved=False) and not look.shelved for look in evidence.looks)
    shown.need(after, f"status: {tag} was never shown without its shelf")


# -- a warning from above -----------------------------------------------------------------------------


def warning(evidence: Evidence, authority: str, order_id: str) -> Shown:
    """A warning that came, was shown and was answered."""
    shown = Shown({"id": order_id, "beside_alarms": False, "by": "", "waited_s": None, "feedback_at": []})
    name = f"{authority}/{order_id}"
    states = [(dict(look.warnings).get(name), bool(look.alarms)) for look in evidence.looks]
    shown.figures["beside_alarms"] = ("unanswered", True) in states
    shown.need(shown.figures["beside_alarms"], f"status: {name} never stood unanswered beside the alarms")
    shown.need("answered" in {state for state, _ in states}, f"status: {name} was never shown as answered")
    for whose, got in evidence.received.items():
        feedback = next((one for one in got.of("feedback") if _about(one, authority, order_id)), None)
        if feedback is not None and feedback["by"] and feedback["cause"] and feedback["action"]:
            shown.figures["feedback_at"].append(whose)
            shown.figures.update(by=feedback["by"], waited_s=feedback["waited_s"])
    shown.need(
        any(_about(one, authority, order_id) for one in evidence.received[authority].of("warning_received")),
        f"{authority}: {name} is not on record as received",
    )
    shown.need(authority in shown.figures["feedback_at"], f"{authority}: no feedback to {name} arrived")
    return shown


def _about(item: Item, authority: str, order_id: str) -> bool:
    return bool(item["recipient"] == authority and item["id"] == order_id)


# -- inside -------------------------------------------------------------------------------------------


def _changes(items: Sequence[Item], tag: str, kind: str) -> list[Item]:
    """Changes of a tag's alarms of one type, in the order in which they happened; an outage may turn arrivals round."""
    found = [item for item in items if item["point_id"] == tag and item["type"] == kind]
    return sorted(found, key=lambda item: (item["t_raised"], item["alarm_id"], item["change_no"]))


def _stood(alarms: Sequence[Stood], alarm_id: str) -> Stood | None:
    return next((one for one in alarms if one.alarm_id == alarm_id), None)


def _is(alarms: Sequence[Stood], alarm_id: str, *, shelved: bool) -> bool:
    alarm = _stood(alarms, alarm_id)
    return alarm is not None and alarm.active and alarm.shelved == shelved
