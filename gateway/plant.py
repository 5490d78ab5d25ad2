"""The site as it is configured: plain types, no file, no check, no clock.

``config.py`` and ``points.py`` make these; everything else only reads them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, TypeAlias

from drivers.kit.scan import Device, Point
from gateway.alarm.annunciator import Signal
from gateway.alarm.conditions import Balance, Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.people import AlarmSettings

Acknowledgement: TypeAlias = Literal["receipt", "puback"]

PRIORITIES: Final = (1, 2, 3, 4)


@dataclass(frozen=True, slots=True)
class PointConfig:
    """One row of the point table.

    Attributes:
        point: what the driver needs; ``point.name`` is the tag (位号).
        description: 描述, what people call it.
        unit: engineering unit (单位), "" for a contact.
        limits: alarm limits.
        conditions: what else is watched on it.
        priority: 1 (highest) to 4, orders alarms for people.
        area: 单元/区域.
        camera: name of the camera that looks at it, "" for none.
        codes: recipient's name -> the point's code there (指标编码).
    """

    point: Point
    description: str = ""
    unit: str = ""
    limits: Limits = field(default_factory=Limits)
    conditions: Conditions = Conditions()  # noqa: RUF009 - one for all of the many points that have none of their own
    priority: int = 2
    area: str = ""
    camera: str = ""
    codes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DeviceConfig:
    """One connection, the driver that reads it and its rows of the point table (same order as device.points)."""

    device: Device
    driver: str
    options: object
    points: tuple[PointConfig, ...]


@dataclass(frozen=True, slots=True)
class CameraConfig:
    """One camera.

    Attributes:
        gb_code: its 20-digit GB/T 28181 code, "" if none.
    """

    name: str
    driver: str
    options: object
    gb_code: str = ""


@dataclass(frozen=True, slots=True)
class RecipientConfig:
    """One authority that gets the record.

    Attributes:
        name: unique; appears in topics, receipts and ``status``.
        dialect: module of ``gateway.uplink.dialects``, written ``plantgate/1`` for ``plantgate_1``.
        host: broker's name; must match its certificate.
        port: broker's TLS port.
        ca: trust anchor, PEM.
        certificate: the gateway's client certificate for this recipient, PEM.
        private_key: its key, PEM, 0600 or a systemd credential.
        acknowledged_by: what settles a record here.
        receipt_timeout_s: after that without an answer the same key goes out again.
        window_messages: most messages in flight at once.
        orders_certificate: PEM whose P-256 key signs what it sends down; None: the gateway does not listen for that.
    """

    name: str
    host: str
    ca: Path
    certificate: Path
    private_key: Path
    port: int = 8883
    dialect: str = "plantgate/1"
    acknowledged_by: Acknowledgement = "receipt"
    receipt_timeout_s: float = 10.0
    window_messages: int = 32
    orders_certificate: Path | None = None


@dataclass(frozen=True, slots=True)
class OutputConfig:
    """A local siren or lamp: a command (argv, run without a shell), a file that is written, or a GPIO line.

    Attributes:
        name: unique.
        kind: ``command`` gets JSON on its standard input; ``file`` gets a line; ``gpio`` is turned on and off.
        argv: the command, absolute path first; () for the others.
        path: the file; None for the others.
        chip: GPIO chip, e.g. ``/dev/gpiochip0``; "" for the others.
        line: number of the line on it.
        active_low: "on" is a low level.
        signal: what it is told: every change of an alarm, or when the horn or the lamp is on.
        priorities: of the alarms it is for, the highest (1) first.
    """

    name: str
    kind: Literal["command", "file", "gpio"]
    argv: tuple[str, ...] = ()
    path: Path | None = None
    chip: str = ""
    line: int = 0
    active_low: bool = False
    signal: Literal["changes"] | Signal = "changes"
    priorities: tuple[int, ...] = PRIORITIES


@dataclass(frozen=True, slots=True)
class StorageConfig:
    """Where the record lives and how much of it.

    Attributes:
        folder: holds ``spool.db`` and ``snapshots/``.
        quota_bytes: most the spool may take, below the partition's size.
        snapshot_quota_bytes: most the snapshot files may take.
        retention_days: how long records stay after every recipient settled them, 30 or more.
        flush_s: how often readings are written; the loss at a power cut.
        memory_rows: most readings kept in memory while the disk hangs; the oldest beyond it become a gap.
    """

    folder: Path
    quota_bytes: int = 8 << 30
    snapshot_quota_bytes: int = 1 << 30
    retention_days: int = 90
    flush_s: float = 1.0
    memory_rows: int = 600_000


@dataclass(frozen=True, slots=True)
class Config:
    """A whole checked configuration.

    Attributes:
        rev: ``config_rev``, first 16 hex digits of the SHA-256 over the files it came from.
        runtime_folder: holds the control socket ``control.sock``.
        roles: Unix group -> role (viewer, operator, engineer) on the control socket.
        alarms: bounds of what people may do with alarms.
        balances: mass balances that are drawn.
    """

    rev: str
    site_id: str
    gateway_id: str
    language: Literal["zh", "en"]
    storage: StorageConfig
    runtime_folder: Path
    devices: tuple[DeviceConfig, ...]
    cameras: tuple[CameraConfig, ...] = ()
    recipients: tuple[RecipientConfig, ...] = ()
    outputs: tuple[OutputConfig, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    alarms: AlarmSettings = field(default_factory=AlarmSettings)
    balances: tuple[Balance, ...] = ()

    @property
    def points(self) -> tuple[PointConfig, ...]:
        """Every point of every device, devices in order; the engine's row numbers."""
        return tuple(point for device in self.devices for point in device.points)

    @property
    def orders_certificates(self) -> dict[str, Path]:
        """Recipient -> whose signature counts on its down channel, for those that have one."""
        return {
            one.name: one.orders_certificate for one in self.recipients if one.orders_certificate is not None
        }
