"""What people do with alarms over the control socket. Checks what is asked, says why it is refused; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.alarm.people import Acknowledge, Command, RefusedError, UnknownAlarmError
from gateway.control import Deed, Peer, text_of
from gateway.words import said

MAX_NAME: Final = 200
MAX_NOTE: Final = 500

Do = Callable[[str, Command], None]
"""(actor, command): carried out by the house. Raises UnknownAlarmError, RefusedError."""


def deeds(do: Do) -> dict[str, Deed]:
    """Everything that can be done with alarms, by its ``op``."""

    def acknowledge(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        alarm_id = text_of(request, "alarm_id", MAX_NAME)
        note = str(request.get("note", ""))[:MAX_NOTE]
        carry_out(do, peer.user, Acknowledge(alarm_id, note), alarm_id)
        return {"alarm_id": alarm_id, "acknowledged": True}

    return {"ack": Deed("operator", acknowledge)}


def carry_out(do: Do, actor: str, command: Command, name: str) -> None:
    """Do it.

    Raises:
        UserFacingError: nothing is called ``name``, or it cannot be done now.
    """
    try:
        do(actor, command)
    except UnknownAlarmError as e:
        raise said("E-NAME-ALARM", name) from e
    except RefusedError as e:
        raise said(e.code, name, **e.facts) from e
