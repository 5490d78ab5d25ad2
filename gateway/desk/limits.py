"""How people change limits over the control socket. Checks what is asked; ``limit_change`` decides."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from gateway.alarm.people import RefusedError, UnknownAlarmError
from gateway.control import Deed, Peer, text_of
from gateway.desk.alarms import MAX_NAME, MAX_NOTE, refusal
from gateway.instant import Now
from gateway.limit_change import Decided, LimitBook
from gateway.limit_rules import Figures, level_of
from gateway.words import said


def deeds(
    book: LimitBook,
    now: Callable[[], Now],
    carry_out: Callable[[Decided], None],
    is_recording: Callable[[], bool],
) -> dict[str, Deed]:
    """Everything that can be done with limits, by its ``op``.

    Args:
        book: all limits.
        now: this instant.
        carry_out: records what was decided and lets it hold.
        is_recording: whether the disk takes records; while it does not, nothing is decided.
    """

    def told(name: str, decide: Callable[[], Decided]) -> dict[str, Any]:
        if not is_recording():
            raise said("E-REFUSED-LIMIT-DISK", name)
        try:
            decided = decide()
        except UnknownAlarmError as e:
            raise said("E-NAME-TARGET", name, name=name) from e
        except RefusedError as e:
            raise refusal(RefusedError(e.code, name=name, **e.facts), name) from e
        carry_out(decided)
        changed, waits = bool(decided.point_id), decided.change_id
        return {"name": name, "changed": changed, "waits": waits, "changes": [*decided.changes]}

    def listed(request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        return book.view(everything=request.get("all") is True)

    def change(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        tag = text_of(request, "point_id", MAX_NAME)
        values, reason = _figures(request.get("values")), text_of(request, "reason", MAX_NOTE)
        return told(tag, lambda: book.set(peer.user, tag, values, reason, now()))

    def put_back(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        tag = text_of(request, "point_id", MAX_NAME)
        reason = text_of(request, "reason", MAX_NOTE)
        return told(tag, lambda: book.put_back(peer.user, tag, reason, now()))

    def approve(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        change_id = text_of(request, "id", MAX_NAME)
        return told(change_id, lambda: book.approve(peer.user, change_id, now()))

    def reject(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        change_id = text_of(request, "id", MAX_NAME)
        reason = text_of(request, "reason", MAX_NOTE)
        return told(change_id, lambda: book.reject(peer.user, change_id, reason, now()))

    return {
        "limits": Deed("viewer", listed),
        "limit_set": Deed("engineer", change),
        "limit_return": Deed("engineer", put_back),
        "limit_approve": Deed("engineer", approve),
        "limit_reject": Deed("engineer", reject),
    }


def _figures(given: object) -> Figures:
    """Field -> number or None of a request.

    Raises:
        UserFacingError: it is something else.
    """
    if not isinstance(given, dict) or not given:
        raise said("E-NAME-LIMIT", "", field="")
    for name, value in given.items():
        try:
            level_of(name)
        except RefusedError as e:
            raise said(e.code, "", field=str(name)[:MAX_NAME]) from e
        number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        if value is not None and not number:
            raise said("E-NAME-VALUE", "", field=name)
    return {name: None if value is None else float(value) for name, value in given.items()}
