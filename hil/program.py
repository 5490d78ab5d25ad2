"""A command of the house as a process that can be started, killed and stopped again and again."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from hil.processes import STOP_TIMEOUT_S, Tree, start

LOG_TAIL_CHARS: Final = 1500


class ProgramError(RuntimeError):
    """A program did not do what the run needs; the text quotes the end of its log."""


def command() -> str:
    """The installed ``plantgate`` of this interpreter."""
    return str(Path(sys.executable).with_name("plantgate"))


class Program:
    """A command that can be started again and again, with the same arguments and one log.

    Attributes:
        argv: program and arguments.
        log: stdout and stderr of every start, one behind the other.
    """

    def __init__(self, argv: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> None:
        self.argv = tuple(argv)
        self.log = log
        self._env = env
        self._tree: Tree | None = None

    @property
    def tree(self) -> Tree:
        """The running process tree; the last one where it has ended.

        Raises:
            ProgramError: it was never started.
        """
        if self._tree is None:
            raise ProgramError(f"{self.argv[1]} was never started")
        return self._tree

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        return self._tree is not None and self._tree.returncode is None

    def start(self) -> None:
        """Start it; it must not run."""
        assert not self.running, "it runs already"
        self._tree = start(self.argv, log=self.log, env=self._env)

    def kill(self) -> None:
        """SIGKILL to the whole tree, as a power cut would."""
        if self._tree is not None:
            self._tree.kill()

    async def stop(self, timeout_s: float = STOP_TIMEOUT_S) -> int:
        """SIGTERM, and the exit status; what lives on after ``timeout_s`` is killed and counts as -9."""
        return await self.tree.stop(timeout_s) if self._tree is not None else 0

    def tail(self) -> str:
        """The end of its log."""
        return (
            self.log.read_text(encoding="utf-8", errors="replace")[-LOG_TAIL_CHARS:]
            if self.log.exists()
            else ""
        )
