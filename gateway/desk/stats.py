"""How heavily the alarms weigh, over the control socket: anybody may look. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gateway.control import Deed


def deeds(view: Callable[[], dict[str, Any]]) -> dict[str, Deed]:
    """What can be asked about the load; ``view`` is ``Load.view`` as of now."""
    return {"alarm_stats": Deed("viewer", lambda _request, _peer: view())}
