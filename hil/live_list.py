"""Asks a running gateway for its live alarms again and again, and says how long each answer took.

A process of its own, so that whoever drives the plant does not lengthen the answers. Touches the control socket.
"""

from __future__ import annotations

import json
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from hil.processes import Tree, start

OPS: Final = ("alarms", "status")
"""Asked in turn: the list alone, and what every screen shows."""
PAUSE_S: Final = 0.1
"""A busy control room: ten screens, each once a second."""
MAX_SAMPLES: Final = 200_000
TIMEOUT_S: Final = 10.0
CHUNK_BYTES: Final = 1 << 20


class Answer(NamedTuple):
    """One answer.

    Attributes:
        op: what was asked.
        asked_ns: CLOCK_MONOTONIC.
        ms: until its last byte was there.
        size: bytes.
        late_ms: by so much the pause before it was longer than meant: what the machine itself costs.
    """

    op: str
    asked_ns: int
    ms: float
    size: int
    late_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Asking:
    """A process that asks until it is told to stop.

    Attributes:
        tree: it.
        said: where it writes what it saw.
        log: what went wrong.
    """

    tree: Tree
    said: Path
    log: Path

    @classmethod
    def start(cls, control: Path, folder: Path) -> Asking:
        """Begin to ask.

        Args:
            control: the control socket of a gateway that runs.
            folder: for its two files.
        """
        said, log = folder / "live-list.said", folder / "live-list.log"
        with said.open("wb") as out:
            tree = start([sys.executable, "-m", "hil.live_list", str(control)], log=log, stdout=out.fileno())
        return cls(tree, said, log)

    async def stop(self) -> list[Answer]:
        """End it; everything it saw. An exit other than 0 is an answer that did not come: then nothing."""
        if await self.tree.stop() != 0:
            return []
        return [Answer(*one) for one in json.loads(self.said.read_bytes())]


def ask(control: Path, op: str, connection: socket.socket) -> Answer:
    """One question over a connection that stands.

    Raises:
        OSError: no answer within ``TIMEOUT_S``, or the gateway has gone.
    """
    asked_ns, size, last = time.monotonic_ns(), 0, b""
    connection.sendall(json.dumps({"op": op}).encode() + b"\n")
    while not last.endswith(b"\n"):
        last = connection.recv(CHUNK_BYTES)
        if not last:
            raise ConnectionResetError(f"{control} was closed")
        size += len(last)
    return Answer(op, asked_ns, round((time.monotonic_ns() - asked_ns) / 1e6, 3), size)


def main(argv: Sequence[str]) -> int:
    """Ask until SIGTERM, then print every answer as JSON."""
    going = [True]
    signal.signal(signal.SIGTERM, lambda *_: going.clear())
    control, answers = Path(argv[0]), list[Answer]()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(TIMEOUT_S)
        connection.connect(str(control))
        while going and len(answers) < MAX_SAMPLES:
            pause_ns = time.monotonic_ns()
            time.sleep(PAUSE_S)
            late_ms = (time.monotonic_ns() - pause_ns) / 1e6 - PAUSE_S * 1e3
            answer = ask(control, OPS[len(answers) % len(OPS)], connection)
            answers.append(answer._replace(late_ms=round(late_ms, 3)))
    print(json.dumps(answers))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
