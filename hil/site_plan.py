"""What a site on one machine consists of, and its point table. Plain types; opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hil.configuration import Row, Table
from hil.modbus_plc import Unit
from hil.opcua_plc import NAMESPACE_URI


@dataclass(frozen=True, slots=True)
class ModbusDevice:
    """One Modbus TCP PLC and its rows of the point table.

    Every answer carries a counter in registers 0 and 1; the site adds the point ``<name>.count`` that reads it,
    and what is read together with it is told apart by it. So the rows must lie within one block: holding
    registers below 125.

    Attributes:
        name: device name.
        rows: rows of the point table; the site fills in ``device``.
        registers: size of the PLC's register space, the two of the counter included.
        refresh: see ``modbus_plc.Unit``.
        period_s: how often the gateway reads it.
    """

    name: str
    rows: Sequence[Row]
    registers: int
    refresh: Callable[[Unit], None] | None = None
    period_s: float = 1.0

    @property
    def counter(self) -> str:
        """Tag of the answer counter."""
        return f"{self.name}.count"


@dataclass(frozen=True, slots=True)
class OpcuaDevice:
    """One OPC UA PLC; its rows' ``address`` is the plain node name, the site writes the namespace before it."""

    name: str
    rows: Sequence[Row]
    gas: Sequence[str]
    contacts: Sequence[str]


@dataclass(frozen=True, slots=True)
class CameraView:
    """One camera and the level it shows."""

    name: str
    level_percent: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SitePlan:
    """What the site consists of.

    Attributes:
        recipients: each gets a broker, an authority and a receiver of its own.
        flush_s: how often readings become durable.
        storage_folder: where the record lives; None: in the site's folder.
        orders_from: recipients that may send warnings down; each gets a key that signs them.
        outputs: tables ``[[output]]``.
        broker_settings: further lines of every mosquitto.conf.
        recipient_settings: further keys of every ``[[recipient]]``.
        storage_settings: further keys of ``[storage]``.
        environment: further variables of the gateway's environment.
        prefix: what stands before the gateway's command, e.g. ``("ip", "netns", "exec", "plant")``.
        devices: further tables ``[[device]]``, whose simulators the scenario owns and judges itself.
        rows: their rows of the point table, ``device`` among the columns.
    """

    modbus: Sequence[ModbusDevice] = ()
    opcua: OpcuaDevice | None = None
    cameras: Sequence[CameraView] = ()
    recipients: Sequence[str] = ("province", "bureau")
    site_id: str = "site1"
    gateway_id: str = "gateway1"
    language: str = "zh"
    flush_s: float = 1.0
    storage_folder: Path | None = None
    orders_from: Sequence[str] = ()
    outputs: Sequence[Table] = ()
    broker_settings: Sequence[str] = ()
    recipient_settings: Table = field(default_factory=dict)
    storage_settings: Table = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    prefix: Sequence[str] = ()
    devices: Sequence[Table] = ()
    rows: Sequence[Row] = ()


def count_row(device: ModbusDevice, language: str = "zh") -> Row:
    """The row of the point table that reads the answer counter."""
    called = "应答计数" if language == "zh" else "answer counter"
    return {"tag": device.counter, "description": called, "address": "40001", "type": "uint32"}


def point_rows(plan: SitePlan) -> list[Row]:
    """The whole point table."""
    rows: list[Row] = []
    for device in plan.modbus:
        rows += [{**row, "device": device.name} for row in (count_row(device, plan.language), *device.rows)]
    if plan.opcua is not None:
        for row in plan.opcua.rows:
            address = f"nsu={NAMESPACE_URI};s={row['address']}"
            rows.append({**row, "device": plan.opcua.name, "address": address})
    return [*rows, *plan.rows]
