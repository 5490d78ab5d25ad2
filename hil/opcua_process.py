"""An OPC UA PLC in a process of its own, so that it can be killed and its CPU is nobody's. Touches processes and files.

Run as ``python -m hil.opcua_process PLAN.json``. It has as many items as asked, all of which change in every period;
they have their first value by the time it listens. What it hands over it logs before it is on the wire, in files that
outlive a kill and are shared by all its lives.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from hil.opcua_admission import READ_SERVICES
from hil.opcua_plc import HOST, Change, OpcuaPlc
from hil.pki import Credentials
from hil.ports import free_port
from hil.program import Program, ProgramError

LISTENS_TIMEOUT_S: Final = 30.0
QUIET_TIMEOUT_S: Final = 5.0
POLL_S: Final = 0.02
QUIET_S: Final = 0.2
"""Handing over nothing for so long, it is between two periods."""
ALIVE: Final = "alive"
_SENT: Final = struct.Struct("<iqqd")
_SENT_COLUMNS: Final = np.dtype([("item", "<i4"), ("source_ns", "<i8"), ("mono_ns", "<i8"), ("value", "<f8")])


class Sent(NamedTuple):
    """What was handed to clients, in order, as columns of equal length.

    Attributes:
        item: int32, index of the item; -1 for the node ``alive``.
        source_ns: int64, UTC nanoseconds, whole microseconds.
        mono_ns: int64, CLOCK_MONOTONIC at which it was handed over.
        value: float64, NaN where the status was bad.
    """

    item: NDArray[np.int32]
    source_ns: NDArray[np.int64]
    mono_ns: NDArray[np.int64]
    value: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the process is told.

    Attributes:
        port: where it listens.
        certificate, key: PEM files of its own certificate.
        trusted: fingerprints of the clients it admits.
        items: how many items it has.
        period_s: how often all of them change.
        history: whether it answers HistoryRead.
        sent, said: files it appends to.
    """

    port: int
    certificate: str
    key: str
    trusted: tuple[str, ...]
    items: int
    period_s: float
    history: bool
    sent: str
    said: str


def item_name(item: int) -> str:
    """String identifier of an item's node."""
    return f"item-{item:04d}"


class OpcuaProcess:
    """The PLC as its keeper sees it.

    Args:
        folder: where plan and logs go.
        credentials: its own certificate.
        trusted: fingerprints of the clients it admits.
        items: how many items it has, all changing every ``period_s``.

    Attributes:
        port: stays the same over ``kill`` and ``start``.
        listening_ns: CLOCK_MONOTONIC at which each of its lives began to listen.
    """

    def __init__(
        self,
        folder: Path,
        credentials: Credentials,
        trusted: Sequence[str],
        items: int,
        *,
        period_s: float = 1.0,
        history: bool = False,
    ) -> None:
        self.port = free_port(HOST)
        self.items = items
        self.listening_ns: list[int] = []
        self._sent, self._said = folder / "sent", folder / "said"
        plan = Plan(
            port=self.port,
            certificate=str(credentials.certificate),
            key=str(credentials.key),
            trusted=tuple(trusted),
            items=items,
            period_s=period_s,
            history=history,
            sent=str(self._sent),
            said=str(self._said),
        )
        (folder / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
        argv = [sys.executable, "-m", "hil.opcua_process", str(folder / "plan.json")]
        self._program = Program(argv, folder / "log")

    @property
    def url(self) -> str:
        """Where clients connect."""
        return f"opc.tcp://{HOST}:{self.port}/"

    async def start(self) -> None:
        """Start it (again) and wait until it listens.

        Raises:
            ProgramError: it did not.
        """
        self._program.start()
        end = time.monotonic() + LISTENS_TIMEOUT_S
        lives = len(self.listening_ns) + 1
        while len(told := [one["listening_ns"] for one in self._told() if "listening_ns" in one]) < lives:
            if not self._program.running or time.monotonic() > end:
                raise ProgramError(f"the OPC UA PLC did not come up. Its log ends: {self._program.tail()}")
            await asyncio.sleep(POLL_S)
        self.listening_ns = told

    async def kill(self) -> int:
        """SIGKILL, between two periods: a value on the road would be lost by the bench's own hand.

        Returns:
            CLOCK_MONOTONIC nanoseconds just before it.
        """
        end = time.monotonic() + QUIET_TIMEOUT_S
        size = since = 0.0
        grown = False
        while time.monotonic() < end and not (grown and time.monotonic() - since >= QUIET_S):
            if self._size() != size:
                grown = since > 0
                size, since = self._size(), time.monotonic()
            await asyncio.sleep(POLL_S)
        at_ns = time.monotonic_ns()
        self._program.kill()
        return at_ns

    def close(self) -> None:
        """End it for good."""
        self._program.kill()

    def sent(self) -> Sent:
        """Everything all its lives handed over."""
        content = self._sent.read_bytes() if self._sent.exists() else b""
        rows = np.frombuffer(content[: len(content) // _SENT.size * _SENT.size], _SENT_COLUMNS)
        return Sent(rows["item"], rows["source_ns"], rows["mono_ns"], rows["value"])

    def services(self) -> Counter[str]:
        """How often each service was asked, over all lives."""
        total: Counter[str] = Counter()
        lives: dict[int, dict[str, int]] = {}
        for one in self._told():
            if "services" in one:
                lives[one["pid"]] = one["services"]
        for services in lives.values():
            total.update(services)
        return total

    @property
    def writes_seen(self) -> int:
        """Requests for any service that is not a reading one."""
        return sum(count for name, count in self.services().items() if name not in READ_SERVICES)

    def _size(self) -> int:
        return self._sent.stat().st_size if self._sent.exists() else 0

    def _told(self) -> list[dict[str, Any]]:
        text = self._said.read_text(encoding="utf-8") if self._said.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


class _LoggedPlc(OpcuaPlc):
    """Logs into a file what it hands over, before it is on the wire."""

    def __init__(self, plan: Plan) -> None:
        names = [item_name(item) for item in range(plan.items)]
        own = Credentials(Path(plan.certificate), Path(plan.key), Path(), "")
        super().__init__(own, plan.trusted, gas=names, contacts=(), port=plan.port, history=plan.history)
        self._items = {name: item for item, name in enumerate(names)}
        self._file = Path(plan.sent).open("ab", buffering=0)  # noqa: SIM115 - it lives as long as the process

    def log_sent(self, change: Change) -> None:
        """One row of the file, in the kernel's hands when this returns."""
        value = np.nan if change.value is None else float(change.value)
        item = self._items.get(change.node, -1)
        self._file.write(_SENT.pack(item, change.source_ns, time.monotonic_ns(), value))


async def _serve(plan: Plan, say: Callable[[dict[str, Any]], None]) -> None:
    loop = asyncio.get_running_loop()
    over = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, over.set)
    plc = _LoggedPlc(plan)
    await plc.start(_values(plan.items, 0))
    say({"listening_ns": time.monotonic_ns()})
    due_s, period = loop.time(), 0
    while not over.is_set():
        due_s, period = due_s + plan.period_s, period + 1
        await asyncio.sleep(due_s - loop.time())
        await plc.show(_values(plan.items, period))
        plc.changes.clear()
        say({"pid": os.getpid(), "services": plc.services})
    await plc.close()


def _values(items: int, period: int) -> dict[str, float | bool]:
    """A value of its own for every item in every period."""
    return {item_name(item): period + item / 10_000 for item in range(items)}


def main() -> NoReturn:
    """The process."""
    fields = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    plan = Plan(**fields)
    with Path(plan.said).open("a", encoding="utf-8", buffering=1) as said:
        asyncio.run(_serve(plan, lambda one: print(json.dumps(one), file=said)))
    sys.exit(0)


if __name__ == "__main__":
    main()
