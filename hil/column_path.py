"""The Modbus driver alone, and the bare work beside it: two processes that read the same PLCs in the same slots.

Run as a process of its own: ``python -m hil.column_path driver|bare PLAN.json``; SIGTERM ends it and it says on
stdout what it did.

``driver``  ``drivers.modbus`` as the gateway runs it: planned, asked, checked, decoded, scaled, marked with quality and
    posted as a scan; whoever takes the scan keeps the last of each device and a reference to each quality column.
``bare``    asyncio connections that send a ready-made request in the very slots the driver reads in (``kit.pace``),
    one timer per slot, and turn each answer into numbers by one ``struct`` call. No check beyond the length, no
    quality, no scale, no reconnect: whoever cannot read ends with an error instead of being cheap.
"""

from __future__ import annotations

import asyncio
import json
import signal
import struct
import sys
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np

from drivers import modbus
from drivers.kit.pace import SLOTS_PER_PERIOD, period_ns
from drivers.kit.quality import GOOD
from drivers.kit.scan import Device, Point, Scan
from hil.modbus_plc import COUNTER_REGISTERS
from hil.reading_rounds import ANSWER_HEAD_BYTES, BlockLink, read_in_slot

SCALE: Final = 0.1


@dataclass(frozen=True, slots=True)
class Plc:
    """One connection: where, and which unit is behind it."""

    host: str
    port: int
    unit_id: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is read.

    Attributes:
        plcs: one connection each; they are spread over the slots of a period as the gateway spreads its devices.
        values: uint16 registers read from each, behind the answer counter, which is read too.
        period_s: between two reads.
    """

    plcs: tuple[Plc, ...]
    values: int
    period_s: float

    def slot(self, number: int) -> int:
        """In which slot a PLC is read."""
        return number * SLOTS_PER_PERIOD // len(self.plcs)

    def write(self, path: Path) -> None:
        """Save it for the process."""
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Plan:
        """As ``write`` saved it."""
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        plcs = tuple(Plc(**one) for one in fields.pop("plcs"))
        return cls(plcs=plcs, **fields)


class Columns:
    """Takes scans; what it costs counts as the driver's."""

    def __init__(self) -> None:
        self._last: dict[str, Scan] = {}
        self._qualities: list[Any] = []
        self._misses = 0

    def post(self, scan: Scan) -> None:
        """Keep it."""
        if not scan.raw:
            self._misses += 1  # nothing was answered: the connection does not stand yet
            return
        self._last[scan.device] = scan
        self._qualities.append(scan.quality)

    def said(self) -> dict[str, int]:
        """What was taken.

        Returns:
            ``scans`` of answers, ``misses`` without one, ``bad``: scans with a value that is not good, ``wrong``: last
            scans that say other than their bytes.
        """
        bad = sum(not (quality == GOOD).all() for quality in self._qualities)
        wrong = sum(_differs(scan) for scan in self._last.values())
        return {"scans": len(self._qualities), "misses": self._misses, "bad": bad, "wrong": wrong}


def _differs(scan: Scan) -> bool:
    """Judged by another reader than the driver's."""
    counter, *values = struct.unpack(f">I{len(scan.points) - 1}H", scan.raw)
    return not np.allclose(scan.values, [counter, *(value * SCALE for value in values)], rtol=1e-12)


async def drive(plan: Plan) -> dict[str, Any]:
    """Read by the driver until SIGTERM."""
    over = _told_to_stop()
    columns = Columns()
    points = _points(plan.values)
    sources = [
        modbus.connect(
            Device(f"plc{n}", points, plan.period_s, plan.slot(n)),
            modbus.Options(host=plc.host, port=plc.port, unit_id=plc.unit_id),
            columns.post,
        )
        for n, plc in enumerate(plan.plcs)
    ]
    tasks = [asyncio.create_task(source.run()) for source in sources]
    await over.wait()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return columns.said()


def _points(values: int) -> tuple[Point, ...]:
    first = 40_001 + COUNTER_REGISTERS
    return (
        Point("count", "40001", type="uint32"),
        *(Point(f"v{k}", str(first + k), scale=SCALE) for k in range(values)),
    )


class Numbers:
    """The last answer of one PLC; ``latest`` is its numbers."""

    def __init__(self, values: int) -> None:
        self._numbers = struct.Struct(f">{ANSWER_HEAD_BYTES}xI{values}H")
        self.latest: tuple[int, ...] = ()

    def take(self, answer: bytes) -> None:
        """All that a bare read does with it."""
        self.latest = self._numbers.unpack(answer)


async def read_bare(plan: Plan) -> dict[str, Any]:
    """Read without the driver until SIGTERM.

    Raises:
        ConnectionError: a connection could not be made or was lost.
    """
    loop = asyncio.get_running_loop()
    over = _told_to_stop()
    losses: list[str] = []

    def lost(why: str) -> None:
        losses.append(why)
        over.set()

    registers = COUNTER_REGISTERS + plan.values
    slots: dict[int, list[BlockLink]] = {}
    for n, plc in enumerate(plan.plcs):
        make = partial(BlockLink, plc.unit_id, registers, Numbers(plan.values).take, lost)
        _, link = await loop.create_connection(make, plc.host, plc.port)
        slots.setdefault(plan.slot(n), []).append(link)
    for slot, links in slots.items():
        read_in_slot(links, period_ns(plan.period_s), slot)
    await over.wait()
    if losses:
        raise ConnectionError(losses[0])
    scans = sum(link.answers for links in slots.values() for link in links)
    return {"scans": scans, "misses": 0, "bad": 0, "wrong": 0}


def _told_to_stop() -> asyncio.Event:
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)
    return over


MODES: Final = {"driver": drive, "bare": read_bare}


def main() -> NoReturn:
    """The process."""
    done = asyncio.run(MODES[sys.argv[1]](Plan.read(Path(sys.argv[2]))))
    print(json.dumps(done))
    sys.exit(0)


if __name__ == "__main__":
    main()
