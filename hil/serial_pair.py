"""Two ttys joined by socat: what goes into one comes out of the other. Owns that process and its two names."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from hil.processes import Tree, find_tool, start

PAIR_TIMEOUT_S: Final = 5.0
PAIR_POLL_S: Final = 0.02


class SerialPair:
    """Two ttys joined by socat; what goes into one comes out of the other.

    Args:
        folder: where their names appear.

    Attributes:
        asker: the gateway's end.
        bus: the other.
    """

    def __init__(self, folder: Path) -> None:
        self.asker = folder / "tty-gateway"
        self.bus = folder / "tty-bus"
        self._tree: Tree | None = None

    async def __aenter__(self) -> Self:
        """Start socat and wait for the ttys.

        Raises:
            ToolMissingError: socat is not installed.
            TimeoutError: it did not make them.
        """
        ends = [f"pty,rawer,link={path}" for path in (self.asker, self.bus)]
        self._tree = start([find_tool("socat", "socat"), *ends])
        try:
            async with asyncio.timeout(PAIR_TIMEOUT_S):
                while True:
                    if self.asker.exists() and self.bus.exists():
                        return self
                    await asyncio.sleep(PAIR_POLL_S)
        except BaseException:
            self._tree.kill()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._tree is not None, "entered"
        await self._tree.stop()
