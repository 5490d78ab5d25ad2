"""What people do with alarms over the control socket. Checks what is asked, says why it is refused; decides nothing."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from gateway.alarm.people import (
    Acknowledge,
    Command,
    EndTest,
    Hold,
    RefusedError,
    Release,
    Reset,
    Test,
    UnknownAlarmError,
)
from gateway.control import Deed, Peer, seconds_of, text_of
from gateway.errors import UserFacingError
from gateway.span import bound
from gateway.words import both, said

MAX_NAME: Final = 200
MAX_NOTE: Final = 500
LONGEST_S: Final = 366 * 86_400.0
"""Nobody may ask for longer; what the site allows is shorter, and says so itself."""

Do = Callable[[str, Command], None]
"""(actor, command): carried out by the house. Raises UnknownAlarmError, RefusedError."""


def deeds(do: Do, held: Callable[[], list[dict[str, Any]]]) -> dict[str, Deed]:
    """Everything that can be done with alarms, by its ``op``.

    ``do`` carries a command out; ``held`` gives what stands, see ``status.held_view``.
    """

    def acknowledge(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        alarm_id = text_of(request, "alarm_id", MAX_NAME)
        carry_out(do, peer.user, Acknowledge(alarm_id, _note(request, "note")), alarm_id)
        return {"alarm_id": alarm_id, "acknowledged": True}

    def reset(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        alarm_id = text_of(request, "alarm_id", MAX_NAME)
        carry_out(do, peer.user, Reset(alarm_id, _note(request, "reason")), alarm_id)
        return {"alarm_id": alarm_id, "reset": True}

    def hold(kind: Literal["shelve", "out_of_service"]) -> Callable[[Mapping[str, Any], Peer], object]:
        def deed(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
            target = text_of(request, "target", MAX_NAME)
            for_s = seconds_of(request, "for_s", LONGEST_S)
            reason = text_of(request, "reason", MAX_NOTE)
            carry_out(do, peer.user, Hold(kind, target, reason, for_s), target, "E-NAME-TARGET")
            return {"target": target, "action": kind, "for_s": for_s}

        return deed

    def release(kind: Literal["unshelve", "in_service"]) -> Callable[[Mapping[str, Any], Peer], object]:
        def deed(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
            target = text_of(request, "target", MAX_NAME)
            command = Release(kind, target, _note(request, "reason"))
            carry_out(do, peer.user, command, target, "E-NAME-TARGET")
            return {"target": target, "action": kind}

        return deed

    def test(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        point_id = text_of(request, "point_id", MAX_NAME)
        value = number_of(request, "value")
        for_s = seconds_of(request, "for_s", LONGEST_S)
        command = Test(point_id, value, text_of(request, "reason", MAX_NOTE), for_s)
        carry_out(do, peer.user, command, point_id, "E-NAME-TARGET")
        return {"point_id": point_id, "value": value, "for_s": for_s}

    def end_test(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        point_id = text_of(request, "point_id", MAX_NAME)
        carry_out(do, peer.user, EndTest(point_id), point_id, "E-NAME-NO-TEST")
        return {"point_id": point_id, "action": "end_test"}

    return {
        "ack": Deed("operator", acknowledge),
        "reset": Deed("operator", reset),
        "shelve": Deed("operator", hold("shelve")),
        "unshelve": Deed("operator", release("unshelve")),
        "out_of_service": Deed("engineer", hold("out_of_service")),
        "in_service": Deed("engineer", release("in_service")),
        "test": Deed("engineer", test),
        "end_test": Deed("engineer", end_test),
        "held": Deed("viewer", lambda _request, _peer: held()),
    }


def carry_out(do: Do, actor: str, command: Command, name: str, unknown: str = "E-NAME-ALARM") -> None:
    """Do it.

    Raises:
        UserFacingError: nothing is called ``name`` (the code ``unknown``), or it cannot be done now.
    """
    try:
        do(actor, command)
    except UnknownAlarmError as e:
        raise said(unknown, name, name=name) from e
    except RefusedError as e:
        raise refusal(e, name) from e


def refusal(error: RefusedError, name: str) -> UserFacingError:
    """What a person is told who wanted what cannot be done now."""
    facts = dict(error.facts)
    if "longest_s" in facts:
        longest_s = float(str(facts["longest_s"]))
        facts["longest"] = both(bound(longest_s, "zh"), bound(longest_s, "en"))
    return said(error.code, name, **facts)


def number_of(request: Mapping[str, Any], name: str) -> float:
    """A field of a request that must be a finite number.

    Raises:
        UserFacingError: it is not.
    """
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise said("E-NAME-VALUE", "", field=name)
    return float(value)


def _note(request: Mapping[str, Any], name: str) -> str:
    """What people add of their own free will."""
    return text_of(request, name, MAX_NOTE) if request.get(name) else ""
