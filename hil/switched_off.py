"""A port behind which the power is off: whoever connects hears nothing. Touches sockets.

The kernel drops a SYN while the queue of connections not yet accepted is full, and this one nobody accepts from.
"""

from __future__ import annotations

import contextlib
import socket
from types import TracebackType
from typing import Final, Self

FILLERS: Final = 4
"""A queue of length 0 holds one connection; what comes on top of it is dropped."""


class SwitchedOff:
    """Occupies a port; a context in which connections to it neither stand nor are refused.

    Args:
        port: where nobody listens now.
        host: likewise.
    """

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._address = (host, port)
        self._sockets: list[socket.socket] = []

    def __enter__(self) -> Self:
        """Occupy the port.

        Raises:
            OSError: somebody listens there.
        """
        listener = socket.socket()
        self._sockets.append(listener)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(self._address)
        listener.listen(0)
        for _ in range(FILLERS):
            filler = socket.socket()
            self._sockets.append(filler)
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(self._address)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for one in reversed(self._sockets):
            one.close()
        self._sockets.clear()
