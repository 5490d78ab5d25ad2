"""Picks a free loopback port for a server that cannot pick one itself. Touches sockets for a moment only."""

from __future__ import annotations

import random
import socket
from typing import Final

FIRST_PORT: Final = 20_000
LAST_PORT: Final = 32_000
"""Below Linux' range for outgoing connections, so that no client takes the port in between."""

ATTEMPTS: Final = 200


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port on ``host`` that nobody listens on now.

    Raises:
        OSError: none of ``ATTEMPTS`` random ports was free.
    """
    dice = random.SystemRandom()
    for _ in range(ATTEMPTS):
        port = dice.randint(FIRST_PORT, LAST_PORT)
        with socket.socket() as probe:
            try:
                probe.bind((host, port))
            except OSError:
                continue
            return port
    raise OSError(f"no free port found on {host} between {FIRST_PORT} and {LAST_PORT}")
