"""Warnings and orders from above (预警、处置), and what people answered. Pure: decides what is kept, shown, refused.

They stand beside the gateway's own alarms and never among them: nothing here knows a point, a limit or an alarm.

1. What an authority sent is kept until a person answered or the authority cancelled it, over restarts.
2. An id has one content for ever: the same again is nothing new, another content under it is refused.
3. Everything is bounded; what is beyond a bound is refused and said, never dropped in silence.
4. What ended stays known for ``KEPT_NS``, longer than an order may be old when it comes, so that none comes twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from gateway.alarm.entry import Entry
from gateway.alarm.people import RefusedError
from gateway.instant import Now, rfc3339
from gateway.uplink.order import COLOURS, Order, OrderRefusedError

MAX_LIVE: Final = 100
"""Unanswered ones of one recipient; beyond it the newest are refused."""
MAX_KEPT: Final = 500
"""All that is kept of one recipient; beyond it what ended longest ago goes."""
MAX_ANSWERS: Final = 20
"""Feedback to one; it may be given in steps."""

_DAY_NS: Final = 86_400 * 10**9
OLDEST_NS: Final = 28 * _DAY_NS
"""An order issued longer ago is refused when it comes."""
AHEAD_NS: Final = 600 * 10**9
"""Likewise one that is issued in the future: clocks differ, but not so much."""
KEPT_NS: Final = 30 * _DAY_NS
SHOWN_NS: Final = _DAY_NS
"""What ended is shown so long beside what is live."""

PREFIX: Final = "above/"
"""Each is kept under this, its recipient and its id."""


class UnknownOrderError(LookupError):
    """No warning and no order has this name."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person tells the authority.

    Attributes:
        name: the order's id, or ``recipient/id`` where two recipients use the same.
        cause: why it is so.
        action: what was done.
        note: whatever else.
    """

    name: str
    cause: str
    action: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Notice:
    """One order and what became of it; times are UTC nanoseconds, 0 for not yet.

    Attributes:
        order: as it came.
        received_ns: when it came.
        doubt: ``too_old`` or ``ahead`` where this gateway's own clock could not be trusted to refuse it, else "".
        answers: how many times people answered.
        answered_ns: the first time.
        last: the last answer: by, cause, action, note, at.
        cancelled_ns: when the authority ended it.
        cancel_text: its word on that.
    """

    order: Order
    received_ns: int
    doubt: str = ""
    answers: int = 0
    answered_ns: int = 0
    last: dict[str, str] | None = None
    cancelled_ns: int = 0
    cancel_text: str = ""

    @property
    def name(self) -> str:
        """Recipient and id."""
        return f"{self.order.recipient}/{self.order.id}"

    @property
    def ended_ns(self) -> int:
        """When it stopped waiting for somebody, 0 while it waits; a cancellation never waited."""
        if self.order.kind == "cancel":
            return self.received_ns
        return min((at_ns for at_ns in (self.answered_ns, self.cancelled_ns) if at_ns), default=0)

    def state_bytes(self) -> bytes:
        """As it survives a restart."""
        return orjson.dumps(self)

    def item(self) -> dict[str, Any]:
        """As it stands in the record when it comes."""
        order = self.order
        return {
            "recipient": order.recipient,
            "id": order.id,
            "kind": order.kind,
            "colour": order.colour,
            "title": order.title,
            "text": order.text,
            "points": list(order.points),
            "issued_at": rfc3339(order.issued_ns),
            "answer_by": None if order.answer_by_ns is None else rfc3339(order.answer_by_ns),
            "cancels": order.cancels,
            "sha256": order.digest,
            "received_at": rfc3339(self.received_ns),
            "doubt": self.doubt,
        }

    def view(self, now: Now) -> dict[str, Any]:
        """As people see it; ``age_s`` counts up from its arrival until somebody answers."""
        until_ns = self.ended_ns or now.utc_ns
        answer_by_ns = self.order.answer_by_ns
        late_s = 0 if answer_by_ns is None else (until_ns - answer_by_ns) // 10**9
        state = "cancelled" if self.cancelled_ns else "answered" if self.answers else "unanswered"
        return {
            **self.item(),
            "name": self.name,
            "state": state,
            "age_s": max(0, (until_ns - self.received_ns) // 10**9),
            "left_s": None if answer_by_ns is None or self.ended_ns else max(0, -late_s),
            "overdue": not self.ended_ns and late_s > 0,
            "overdue_s": max(0, late_s),
            "answers": self.answers,
            "answer": self.last,
            "cancelled_at": rfc3339(self.cancelled_ns) if self.cancelled_ns else None,
            "cancel_text": self.cancel_text,
        }


class Above:
    """All that authorities sent down to this gateway and that still matters.

    Args:
        notices: what was known at the last stop.
    """

    def __init__(self, notices: Iterable[Notice] = ()) -> None:
        self._notices = {notice.name: notice for notice in notices}

    def receive(self, order: Order, now: Now) -> Entry | None:
        """Take an order. Returns what is to be on record, None where it is known already.

        Raises:
            OrderRefusedError: it cannot be taken.
        """
        known = self._notices.get(f"{order.recipient}/{order.id}")
        if known is not None:
            if known.order.digest != order.digest:
                raise OrderRefusedError("its id was used before, with another content")
            return None
        notice = Notice(order, now.utc_ns, self._doubt(order, now))
        if order.kind == "cancel":
            return self._cancel(notice, now)
        early = self._cancellation_of(order)
        if early is not None:
            notice = replace(notice, cancelled_ns=now.utc_ns, cancel_text=early.order.text)
        elif len(self._live(order.recipient)) >= MAX_LIVE:
            raise OrderRefusedError(f"{MAX_LIVE} of this recipient are unanswered already")
        return Entry("warning_received", notice.item(), self._keep(now, notice))

    def answer(self, actor: str, answer: Answer, now: Now) -> Entry:
        """A person answers. Returns the feedback, which goes to the recipients with the record.

        Raises:
            UnknownOrderError: there is none of this name.
            RefusedError: the name fits two, or it was answered too often.
        """
        notice = self._named(answer.name)
        if notice.answers >= MAX_ANSWERS:
            raise RefusedError("E-REFUSED-ANSWERS", most=MAX_ANSWERS)
        last = {"by": actor, "cause": answer.cause, "action": answer.action, "note": answer.note}
        last["at"] = rfc3339(now.utc_ns)
        notice = replace(
            notice, answers=notice.answers + 1, answered_ns=notice.answered_ns or now.utc_ns, last=last
        )
        order = notice.order
        item: dict[str, object] = {
            "recipient": order.recipient,
            "id": order.id,
            "kind": order.kind,
            **last,
            "number": notice.answers,
            "waited_s": max(0, (notice.answered_ns - notice.received_ns) // 10**9),
        }
        return Entry("feedback", item, self._keep(now, notice))

    def view(self, now: Now, *, everything: bool = False) -> list[dict[str, Any]]:
        """What people see: the overdue first, then by colour, the oldest first; then what ended lately.

        Args:
            now: to count from.
            everything: also what ended long ago, as far as it is kept.
        """
        shown = [
            notice
            for notice in self._notices.values()
            if notice.order.kind != "cancel"
            and (everything or not notice.ended_ns or now.utc_ns - notice.ended_ns < SHOWN_NS)
        ]
        ranked = sorted(((notice.view(now), notice) for notice in shown), key=_urgency)
        return [view for view, _ in ranked]

    # ---- inside ----

    def _cancel(self, cancellation: Notice, now: Now) -> Entry:
        """End what it names; where that has not come yet, it will be ended when it comes."""
        order = cancellation.order
        known = self._notices.get(f"{order.recipient}/{order.cancels}")
        touched = [cancellation]
        if known is not None and known.order.kind != "cancel" and not known.cancelled_ns:
            touched.append(replace(known, cancelled_ns=now.utc_ns, cancel_text=order.text))
        return Entry("warning_cancelled", cancellation.item(), self._keep(now, *touched))

    def _cancellation_of(self, order: Order) -> Notice | None:
        return next(
            (
                notice
                for notice in self._notices.values()
                if notice.order.recipient == order.recipient and notice.order.cancels == order.id
            ),
            None,
        )

    def _doubt(self, order: Order, now: Now) -> str:
        age_ns = now.utc_ns - order.issued_ns
        if -AHEAD_NS <= age_ns <= OLDEST_NS:
            return ""
        doubt, text = ("too_old", "too long ago") if age_ns > 0 else ("ahead", "in the future")
        if now.clock.state != "unsynchronised":
            raise OrderRefusedError(f"it was issued {text}")
        return doubt

    def _keep(self, now: Now, *notices: Notice) -> dict[str, bytes | None]:
        """Remember these, forget what ended long ago; both as state to be written."""
        state: dict[str, bytes | None] = {}
        for notice in notices:
            self._notices[notice.name] = notice
            state[PREFIX + notice.name] = notice.state_bytes()
        for notice in self._outlived(now, {notice.order.recipient for notice in notices}):
            del self._notices[notice.name]
            state[PREFIX + notice.name] = None
        return state

    def _outlived(self, now: Now, recipients: set[str]) -> list[Notice]:
        # A clock that may be years ahead must not age anything: then only the number decides.
        by_age = now.clock.state != "unsynchronised"
        gone: list[Notice] = []
        for recipient in recipients:
            its = [notice for notice in self._notices.values() if notice.order.recipient == recipient]
            ended = sorted((n for n in its if n.ended_ns), key=lambda n: n.ended_ns)
            surplus = max(0, len(its) - MAX_KEPT)
            gone += [
                notice
                for place, notice in enumerate(ended)
                if place < surplus or (by_age and now.utc_ns - notice.ended_ns > KEPT_NS)
            ]
        return gone

    def _live(self, recipient: str) -> list[Notice]:
        return [n for n in self._notices.values() if n.order.recipient == recipient and not n.ended_ns]

    def _named(self, name: str) -> Notice:
        found = [
            notice
            for notice in self._notices.values()
            if notice.order.kind != "cancel" and name in (notice.name, notice.order.id)
        ]
        if not found:
            raise UnknownOrderError(name)
        if len(found) > 1:
            raise RefusedError("E-NAME-WARNING-WHICH", names=", ".join(notice.name for notice in found))
        return found[0]


def known_notices(state: Mapping[str, bytes]) -> tuple[list[Notice], list[str]]:
    """What was known at the last stop, and the names of states that cannot be read."""
    notices: list[Notice] = []
    unreadable: list[str] = []
    for key, value in state.items():
        if key.startswith(PREFIX):
            try:
                notices.append(_restored(value))
            except ValueError:
                unreadable.append(key)
    return notices, unreadable


def _restored(state: bytes) -> Notice:
    try:
        fields = orjson.loads(state)
        order = fields.pop("order")
        notice = Notice(Order(**{**order, "points": tuple(order["points"])}), **fields)
        notice.view(Now(0, notice.received_ns))  # what cannot be shown would fell every status
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError) as e:
        raise ValueError(f"not a notice: {e}") from e
    return notice


def _urgency(ranked: tuple[dict[str, Any], Notice]) -> tuple[Any, ...]:
    view, notice = ranked
    colour = notice.order.colour
    rank = COLOURS.index(colour) if colour in COLOURS else len(COLOURS)
    return (notice.ended_ns > 0, not view["overdue"], rank, notice.received_ns)
