"""Silence and lamp test over the control socket. Checks what is asked, puts it on record; ``sirens`` carries it out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.alarm.annunciator import MAX_LAMP_TEST_S
from gateway.alarm.entry import Entry
from gateway.control import Deed, Peer, seconds_of
from gateway.instant import Now, rfc3339
from gateway.sirens import Sirens
from gateway.words import said

MAX_NAMED: Final = 100
"""Alarms that one journal entry names."""


def deeds(sirens: Sirens, record: Callable[[Entry], None], now: Callable[[], Now]) -> dict[str, Deed]:
    """Everything that can be done with horns and lamps, by its ``op``.

    Args:
        sirens: of this box.
        record: puts an entry into the journal.
        now: this instant.
    """

    def journal(action: str, peer: Peer, moment: Now, **more: object) -> None:
        item = {"action": action, "target": "", "by": peer.user, "reason": "", "at": rfc3339(moment.utc_ns)}
        record(Entry("operator_action", {**item, **more}))

    def outputs() -> list[str]:
        if not sirens.signalled:
            raise said("E-REFUSED-SIRENS", "")
        return sirens.signalled

    def silence(_request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        names, silenced = outputs(), sirens.silence()
        journal("silence", peer, now(), count=len(silenced), alarms=silenced[:MAX_NAMED])
        return {"outputs": names, "count": len(silenced), "alarms": silenced[:MAX_NAMED]}

    def lamp_test(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        names, for_s, moment = outputs(), seconds_of(request, "for_s", MAX_LAMP_TEST_S), now()
        sirens.lamp_test(for_s, moment)
        until = rfc3339(moment.utc_ns + int(for_s * 1e9))
        journal("lamp_test", peer, moment, until=until)
        return {"outputs": names, "until": until}

    return {"silence": Deed("operator", silence), "lamp_test": Deed("operator", lamp_test)}
