"""What each section of gateway.toml may hold, as pydantic models; ``config`` turns them into plain types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from drivers.kit.options import check_host, plain_host
from gateway.words import Text, both

_ID: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
_NAME: Final = r"^[^\s/+#\"'\\]{1,64}$"
_GB_CODE: Final = r"^(\d{20})?$"
PATTERN_RULES: Final[dict[str, Text]] = {
    _ID: both(
        "用字母、数字、点、横线、下划线，字母或数字开头，最多 64 个字符。",
        "Use letters, digits, dot, hyphen and underscore, a letter or digit first, at most 64 characters.",
    ),
    _NAME: both(
        "最多 64 个字符，不含空格、引号和 / + # \\。",
        "At most 64 characters without spaces, quotes and / + # \\.",
    ),
    _GB_CODE: both(
        "国标编码是 20 位数字，没有就不写。", "A GB code has 20 digits; leave it out if there is none."
    ),
}
MAX_FLOWS: Final = 16
"""Flows into or out of one tank."""
_BYTES: Final = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGT]i?)?B?", re.IGNORECASE)
CODE_OF_PROBLEM: Final = {
    "string_type": "E-CONFIG-TYPE-TEXT",
    "int_type": "E-CONFIG-TYPE-WHOLE",
    "int_from_float": "E-CONFIG-TYPE-WHOLE",
    "float_type": "E-CONFIG-TYPE-NUMBER",
    "bool_type": "E-CONFIG-TYPE-BOOLEAN",
    "tuple_type": "E-CONFIG-TYPE-LIST",
    "list_type": "E-CONFIG-TYPE-LIST",
    "literal_error": "E-CONFIG-CHOICE",
    "greater_than": "E-CONFIG-ABOVE",
    "greater_than_equal": "E-CONFIG-LOW",
    "too_long": "E-CONFIG-LONG",
    "string_too_long": "E-CONFIG-LONG",
    "less_than_equal": "E-CONFIG-HIGH",
    "string_too_short": "E-CONFIG-EMPTY",
    "string_pattern_mismatch": "E-CONFIG-PATTERN",
    "size": "E-CONFIG-SIZE",
    "missing": "E-CONFIG-KEY-MISSING",
}
"""pydantic's kind of problem -> what the user is told."""


def _size(value: object) -> object:
    """``"8 GiB"`` -> bytes; numbers pass."""
    if not isinstance(value, str):
        return value
    match = _BYTES.fullmatch(value.strip())
    if match is None:
        raise PydanticCustomError("size", "not a size")
    number, prefix = match.groups()
    power = "KMGT".index(prefix[0].upper()) + 1 if prefix else 0
    return int(float(number) * (1024 if prefix and len(prefix) == 2 else 1000) ** power)


def _host(value: str) -> str:
    host = plain_host(value)
    if host:
        check_host("host", host)
    return host


_Id = Annotated[str, Field(pattern=_ID)]
_Name = Annotated[str, Field(pattern=_NAME)]
_Bytes = Annotated[int, BeforeValidator(_size), Field(ge=1 << 20, le=1 << 50)]


class Section(BaseModel):
    """A table of the file: strict, and closed against unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class SiteSection(Section):
    """[site]: which plant, and its point table."""

    id: _Id
    points: Path = Path("points.csv")


class GatewaySection(Section):
    """[gateway]: this box."""

    id: _Id
    language: Literal["zh", "en"] = "zh"


class StorageSection(Section):
    """[storage]: see ``plant.StorageConfig``."""

    folder: Path = Path("/var/lib/plantgate")
    quota: _Bytes = 8 << 30
    snapshot_quota: _Bytes = 1 << 30
    retention_days: int = Field(default=90, ge=30, le=36_500)
    flush_s: float = Field(default=1.0, ge=0.1, le=60.0)
    memory_rows: int = Field(default=600_000, ge=1_000, le=10_000_000)


class RuntimeSection(Section):
    """[runtime]: what lives only while the gateway runs."""

    folder: Path = Path("/run/plantgate")


class DeviceSection(Section):
    """[[device]]: the keys every driver has; its own are its ``Options``."""

    name: _Name
    driver: str
    period_s: float = Field(default=1.0, ge=0.05, le=3600.0)


class CameraSection(Section):
    """[[camera]]: the keys every camera driver has."""

    name: _Name
    driver: str = "camera"
    gb_code: str = Field(default="", pattern=_GB_CODE)


class RecipientSection(Section):
    """[[recipient]]: see ``plant.RecipientConfig``."""

    name: _Id
    host: Annotated[str, AfterValidator(_host)] = Field(min_length=1)
    ca: Path
    certificate: Path
    private_key: Path
    port: int = Field(default=8883, ge=1, le=65_535)
    dialect: str = "plantgate/1"
    acknowledged_by: Literal["receipt", "puback"] = "receipt"
    receipt_timeout_s: float = Field(default=10.0, ge=1.0, le=3600.0)
    window_messages: int = Field(default=32, ge=1, le=1000)
    orders_certificate: Path | None = None


class AlarmsSection(Section):
    """[alarms]: see ``alarm.people.AlarmSettings``."""

    shelf_longest_s: float = Field(default=8 * 3600.0, ge=60.0, le=7 * 86_400.0)
    service_longest_s: float = Field(default=30 * 86_400.0, ge=60.0, le=366 * 86_400.0)
    test_longest_s: float = Field(default=600.0, ge=10.0, le=3600.0)
    second_person: bool = False


class PresetSection(Section):
    """[preset.NAME]: see ``alarm.presets.Preset``; what is not given stays as it is."""

    unit: str | None = Field(default=None, min_length=1, max_length=32)
    ll: float | None = None
    l: float | None = None  # noqa: E741 - the field's own name for it
    h: float | None = None
    hh: float | None = None
    deadband: float | None = Field(default=None, ge=0.0)


class BalanceSection(Section):
    """[[balance]]: see ``alarm.conditions.Balance``."""

    name: _Name
    level: str = Field(min_length=1)
    volume_per_unit: float = Field(gt=0.0, le=1e9)
    inflows: tuple[str, ...] = Field(default=(), max_length=MAX_FLOWS)
    outflows: tuple[str, ...] = Field(default=(), max_length=MAX_FLOWS)
    window_s: float = Field(default=600.0, ge=60.0, le=86_400.0)
    tolerance: float = Field(default=1.0, gt=0.0, le=1e9)


class OutputSection(Section):
    """[[output]]: see ``plant.OutputConfig``."""

    name: _Name
    kind: Literal["command", "file", "gpio"]
    argv: tuple[str, ...] = ()
    path: Path | None = None
    chip: str = ""
    line: int = Field(default=0, ge=0, le=65_535)
    active_low: bool = False
    signal: Literal["changes", "horn", "lamp"] = "changes"
    priorities: tuple[Annotated[int, Field(ge=1, le=4)], ...] = (1, 2, 3, 4)


SINGLE_SECTIONS: Final[dict[str, type[Section]]] = {
    "site": SiteSection,
    "gateway": GatewaySection,
    "storage": StorageSection,
    "runtime": RuntimeSection,
    "alarms": AlarmsSection,
}
SECTIONS: Final[dict[str, type[Section]]] = {
    **SINGLE_SECTIONS,
    "device": DeviceSection,
    "camera": CameraSection,
    "recipient": RecipientSection,
    "output": OutputSection,
    "balance": BalanceSection,
}
_LEAST_KEYS: Final = 2
"""So many keys of a section that may stand several times make it likely; many sections have a name."""


def lost_section(keys: set[str], absent: Iterable[str]) -> tuple[str, set[str]] | None:
    """The section whose heading is missing above these keys, and its keys among them; None if they are of none.

    Args:
        keys: what stands where it is not known.
        absent: sections the file does not have.
    """
    best: tuple[str, set[str]] | None = None
    for name in sorted(absent, key=[*SECTIONS].index):
        its = keys & SECTIONS[name].model_fields.keys()
        enough = 1 if name in SINGLE_SECTIONS else _LEAST_KEYS
        if len(its) >= enough and len(its) > (len(best[1]) if best else 0):
            best = name, its
    if best and best[0] not in SINGLE_SECTIONS:
        return best[0], keys  # a driver's own keys, too
    return best


Role: TypeAlias = Literal["viewer", "operator", "engineer"]
