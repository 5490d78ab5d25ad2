"""What people do with warnings from above over the control socket. Checks what is asked; decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gateway.above import Answer, UnknownOrderError
from gateway.alarm.people import RefusedError
from gateway.control import Deed, Peer, text_of
from gateway.words import said

MAX_NAME: Final = 200
MAX_FIELD: Final = 500


class View(Protocol):
    """What is known; see ``Above.view``."""

    def __call__(self, *, everything: bool = False) -> list[dict[str, Any]]:
        """The view, with ``everything`` also of what ended long ago."""


Give = Callable[[str, Answer], None]
"""(actor, answer): carried out by the house. Raises UnknownOrderError, RefusedError."""


def deeds(view: View, give: Give) -> dict[str, Deed]:
    """Everything that can be done with warnings from above, by its ``op``."""

    def warnings(request: Mapping[str, Any], _peer: Peer) -> list[dict[str, Any]]:
        return view(everything=request.get("all") is True)

    def answer(request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        name = text_of(request, "id", MAX_NAME)
        cause, action = text_of(request, "cause", MAX_FIELD), text_of(request, "action", MAX_FIELD)
        note = text_of(request, "note", MAX_FIELD) if request.get("note") else ""
        try:
            give(peer.user, Answer(name, cause, action, note))
        except UnknownOrderError as e:
            raise said("E-NAME-WARNING", "", name=name) from e
        except RefusedError as e:
            raise said(e.code, name, **e.facts) from e
        return {"id": name, "answered": True}

    return {"warnings": Deed("viewer", warnings), "answer": Deed("operator", answer)}
