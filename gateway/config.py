"""gateway.toml and its point table -> Config, or every mistake in both at once. Reads files, opens no line.

pydantic stands here and in ``sections`` only: what lies behind this edge is checked and plain (``plant``).
Over 400 lines because the sections of one file share its places and its mistakes, and are judged in one pass.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import math
import os
import pkgutil
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import TypeAdapter, ValidationError

import drivers
import gateway.uplink.dialects
from drivers.kit.errors import PointError
from drivers.kit.pace import SLOTS_PER_PERIOD
from drivers.kit.scan import Device, Point
from gateway.alarm.conditions import Balance
from gateway.alarm.people import AlarmSettings
from gateway.alarm.presets import PRESETS, Preset, preset_name, unit_meant
from gateway.balances import judged
from gateway.errors import Exit, UserFacingError, UserFileErrors
from gateway.output_rules import output_mistake
from gateway.places import KeyPath, Places, parse
from gateway.plant import (
    CameraConfig,
    Config,
    DeviceConfig,
    OutputConfig,
    RecipientConfig,
    StorageConfig,
)
from gateway.points import CheckDevice, CheckPoint, Known, PointTable, read_points
from gateway.sections import (
    CODE_OF_PROBLEM,
    PATTERN_RULES,
    SECTIONS,
    SINGLE_SECTIONS,
    AlarmsSection,
    BalanceSection,
    CameraSection,
    DeviceSection,
    GatewaySection,
    OutputSection,
    PresetSection,
    RecipientSection,
    Role,
    RuntimeSection,
    Section,
    SiteSection,
    StorageSection,
    lost_section,
)
from gateway.words import both, meant, reason, said

MAX_OF_SECTION: Final = {"device": 1000, "camera": 200, "recipient": 16, "output": 32, "balance": 200}
"""How many tables of one kind; the section's name -> its bound."""

MAX_PRESETS: Final = 100

CREDENTIALS_VARIABLE: Final = "${CREDENTIALS_DIRECTORY}"
SERVICE_CREDENTIALS: Final = "/run/credentials/plantgate.service"
"""Where systemd shows the service's credentials to root: what the variable means outside the service."""

_SectionT = TypeVar("_SectionT", bound=Section)


def load(path: Path) -> Config:
    """Read and check a configuration.

    Raises:
        UserFileErrors: everything that is wrong in ``path`` and in its point table.
    """
    try:
        content = path.read_bytes()
        tree, places = parse(content, str(path))
    except OSError as error:
        raise UserFileErrors([said("E-CONFIG-FILE", str(path), reason=reason(error))]) from error
    except UserFacingError as error:
        raise UserFileErrors([error]) from error
    reading = _Reading(path, tree, places)
    config = reading.config(content)
    errors = reading.errors
    if config is None or errors:
        raise UserFileErrors(errors)
    return config


_Checks: TypeAlias = tuple[CheckPoint, CheckDevice | None]
_Driven: TypeAlias = tuple[DeviceSection, object, _Checks | None]
"""A device's common keys, its driver's options, and its driver's judgement of its points."""


def _checks(driver: ModuleType, options: object, period_s: float) -> _Checks:
    """A driver's judgement of one point, and of all points of a device where it has one.

    Together every point has its period: what is too fast for a heartbeat shows only then.
    """

    def check_point(point: Point) -> None:
        driver.check_point(point, options)

    def check_device(points: tuple[Point, ...]) -> list[PointError]:
        timed = tuple(
            dataclasses.replace(point, period_s=period_s) if point.period_s is None else point
            for point in points
        )
        found: list[PointError] = driver.check_device(timed, options)
        return found

    return check_point, check_device if hasattr(driver, "check_device") else None


class _Reading:
    """One pass over one configuration; collects mistakes instead of stopping at the first."""

    def __init__(self, path: Path, tree: dict[str, Any], places: Places) -> None:
        self._path = path
        self._folder = path.absolute().parent
        self._tree = tree
        self._places = places
        self._mistakes: list[tuple[int, int, UserFacingError]] = []
        self._table_errors: list[UserFacingError] = []
        self._lost: set[str] = set()
        self._doubled: set[str] = set()
        self._lines: dict[str, int] = {}
        self._unsure: set[str] = set()

    @property
    def errors(self) -> list[UserFacingError]:
        """Every mistake found, in the order of the lines, the point table's last."""
        found = sorted(self._mistakes, key=lambda mistake: mistake[:2])
        return [error for _, _, error in found] + self._table_errors

    def config(self, content: bytes) -> Config | None:
        """The whole configuration; None where a section is too wrong to go on. Fills ``errors``."""
        self._check_keys((), self._tree, {*SECTIONS, "roles", "preset"})
        site = self._single("site", SiteSection)
        gate = self._single("gateway", GatewaySection)
        storage = self._single("storage", StorageSection)
        runtime = self._single("runtime", RuntimeSection)
        alarms = self._single("alarms", AlarmsSection)
        devices = self._devices()
        cameras = self._cameras()
        recipients = self._recipients()
        outputs = self._outputs(tuple(section.folder for section in (storage, runtime) if section))
        roles = self._roles()
        known = self._known(devices)
        points_path = self._resolved(site.points if site else Path("points.csv"), ("site", "points"))
        table_bytes, table = self._points(points_path, known)
        points = table.points
        balances = self._balances(table)
        if site is None or gate is None or storage is None or runtime is None or alarms is None:
            return None
        rev = hashlib.sha256(content + table_bytes).hexdigest()[:16]
        return Config(
            rev=rev,
            site_id=site.id,
            gateway_id=gate.id,
            language=gate.language,
            storage=StorageConfig(
                folder=storage.folder,
                quota_bytes=storage.quota,
                snapshot_quota_bytes=storage.snapshot_quota,
                retention_days=storage.retention_days,
                flush_s=storage.flush_s,
                memory_rows=storage.memory_rows,
            ),
            runtime_folder=runtime.folder,
            devices=tuple(
                DeviceConfig(
                    device=Device(
                        name=device.name,
                        points=tuple(row.point for row in points[device.name]),
                        period_s=device.period_s,
                        slot=index * SLOTS_PER_PERIOD // len(devices),
                        config_rev=rev,
                    ),
                    driver=device.driver,
                    options=options,
                    points=tuple(points[device.name]),
                )
                for index, (device, options, _) in enumerate(devices)
            ),
            cameras=tuple(cameras),
            recipients=tuple(recipients),
            outputs=tuple(outputs),
            roles=roles,
            alarms=AlarmSettings(**dict(alarms)),
            balances=tuple(balances),
        )

    def _known(self, devices: list[_Driven]) -> Known:
        """What the point table may refer to; a section with a mistake still has its name."""
        sure = [row for row in devices if row[0].name not in self._doubled]
        presets = self._presets()
        return Known(
            devices=dict.fromkeys(self._names("device"))
            | {device.name: checks[0] for device, _, checks in sure if checks},
            cameras=self._names("camera"),
            recipients=self._names("recipient"),
            together={device.name: checks[1] for device, _, checks in sure if checks and checks[1]},
            presets=presets,
            periods_s={device.name: device.period_s for device, _, _ in sure},
            unsure=frozenset(self._unsure),
        )

    def _points(self, path: Path, known: Known) -> tuple[bytes, PointTable]:
        try:
            content = path.read_bytes()
        except OSError as error:
            self._table_errors = [said("E-CONFIG-FILE", str(path), reason=reason(error))]
            return b"", PointTable({name: [] for name in known.devices}, [])
        table = read_points(content, str(path), known)
        self._table_errors = table.errors
        return content, table

    # --- sections ---------------------------------------------------------------------------------------

    def _single(self, name: str, model: type[_SectionT]) -> _SectionT | None:
        table = self._tree.get(name, {})
        if name not in self._tree and any(field.is_required() for field in model.model_fields.values()):
            self._missing((), name)
            return None
        if not isinstance(table, dict):
            self._wrong((name,), "E-CONFIG-SECTION", key=name, form=f"[{name}]")
            return None
        return self._section((name,), table, model)

    def _rows(self, name: str) -> list[tuple[KeyPath, dict[str, Any]]]:
        rows = self._tree.get(name, [])
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            self._wrong((name,), "E-CONFIG-SECTION", key=name, form=f"[[{name}]]")
            return []
        if len(rows) > MAX_OF_SECTION[name]:
            most = MAX_OF_SECTION[name]
            self._wrong((name, most), "E-CONFIG-MANY", section=name, count=len(rows), most=most)
        seen: dict[object, int] = {}
        for index, row in enumerate(rows):
            path = (name, index, "name")
            line, _ = self._places.where(path)
            if not isinstance(row.get("name"), str):
                self._unsure.add(name)
            elif seen.setdefault(row["name"], line) != line:
                self._unsure.add(name)
                self._doubled.add(row["name"])
                self._wrong(path, "E-CONFIG-NAME-TWICE", name=row["name"], line=seen[row["name"]])
        return [((name, index), row) for index, row in enumerate(rows)]

    def _names(self, section: str) -> frozenset[str]:
        rows = self._tree.get(section)
        names = [row.get("name") for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []
        return frozenset(name for name in names if isinstance(name, str))

    def _devices(self) -> list[_Driven]:
        found: list[_Driven] = []
        if not self._tree.get("device"):
            self._missing((), "device")
        for path, row in self._rows("device"):
            device, options, module = self._driven(path, row, DeviceSection)
            self._check_line(path, options)
            if device is not None:
                judged = None
                if options is not None and module is not None:
                    judged = _checks(module, options, device.period_s)
                found.append((device, options, judged))
        return found

    def _check_line(self, path: KeyPath, options: object) -> None:
        """A serial line is one device's: two programs on it would take each other's answers."""
        serial = "" if getattr(options, "host", "") else getattr(options, "serial", "")
        line, _ = self._places.where((*path, "serial"))
        if serial and (first := self._lines.setdefault(serial, line)) != line:
            self._wrong((*path, "serial"), "E-CONFIG-SERIAL-TWICE", serial=serial, line=first)

    def _cameras(self) -> list[CameraConfig]:
        found = []
        for path, row in self._rows("camera"):
            camera, options, _ = self._driven(path, row, CameraSection)
            if camera is not None:
                found.append(CameraConfig(camera.name, camera.driver, options, camera.gb_code))
        return found

    def _driven(
        self, path: KeyPath, row: dict[str, Any], model: type[_SectionT]
    ) -> tuple[_SectionT | None, object, ModuleType | None]:
        """A device's or camera's common keys, its driver's options and module; None for what is wrong."""
        common = {key: value for key, value in row.items() if key in model.model_fields}
        section = self._section(path, common, model)
        name = row.get("driver", model.model_fields["driver"].default)
        module = self._driver(path, name) if isinstance(name, str) else None
        if module is None:
            return section, None, None
        kind = "device" if hasattr(module, "check_point") else "camera"
        if kind != path[0]:
            self._wrong((*path, "driver"), "E-CONFIG-DRIVER-KIND", name=name, used=path[0], right=kind)
            return section, None, None
        own = {key: value for key, value in row.items() if key not in model.model_fields}
        options = module.Options
        keys = {field.name for field in dataclasses.fields(options)}
        self._check_keys(path, own, keys | set(model.model_fields))
        own = {key: value for key, value in own.items() if key in keys}
        checked = self._validated(path, own, partial(TypeAdapter(options).validate_json, strict=True))
        if checked is not None:
            paths = {key: getattr(checked, key) for key in own if isinstance(getattr(checked, key), Path)}
            resolved = {key: self._resolved(value, (*path, key)) for key, value in paths.items()}
            checked = dataclasses.replace(checked, **resolved)
        return section, checked, module

    def _driver(self, path: KeyPath, name: str) -> ModuleType | None:
        names = {found.name for found in pkgutil.iter_modules(drivers.__path__) if not found.ispkg}
        if name in names:
            return importlib.import_module(f"drivers.{name}")
        self._wrong((*path, "driver"), "E-CONFIG-DRIVER-UNKNOWN", name=name, meant=meant(name, names))
        return None

    def _recipients(self) -> list[RecipientConfig]:
        modules = pkgutil.iter_modules(gateway.uplink.dialects.__path__)
        dialects = {"/".join(found.name.rsplit("_", 1)) for found in modules}
        found = []
        for path, row in self._rows("recipient"):
            recipient = self._section(path, row, RecipientSection)
            if recipient is None:
                continue
            if recipient.dialect not in dialects:
                hint = meant(recipient.dialect, dialects)
                where = (*path, "dialect")
                self._wrong(where, "E-CONFIG-DIALECT-UNKNOWN", name=recipient.dialect, meant=hint)
            found.append(RecipientConfig(**dict(recipient)))
        return found

    def _outputs(self, made: tuple[Path, ...]) -> list[OutputConfig]:
        """The outputs; a file's folder must be there, or be one of those the service makes."""
        found = []
        lines: dict[tuple[str, int], str] = {}
        for path, row in self._rows("output"):
            output = self._section(path, row, OutputSection)
            if output is None:
                continue
            wrong = output_mistake(output, row, made)
            if wrong is None and output.kind == "gpio":
                first = lines.setdefault((output.chip, output.line), output.name)
                if first != output.name:
                    zh, en = f"这条线已由输出“{first}”使用。", f'Output "{first}" uses this line already.'
                    wrong = "line", both(zh, en)
            if wrong is not None:
                key, hint = wrong
                self._wrong((*path, key), "E-CONFIG-OUTPUT", name=output.name, key=key, hint=hint)
            fields = {**dict(output), "priorities": tuple(sorted(set(output.priorities)))}
            found.append(OutputConfig(**fields))
        return found

    def _presets(self) -> dict[str, Preset | None]:
        """The usual presets with those of the file, None for one that is wrong."""
        presets: dict[str, Preset | None] = dict(PRESETS)
        tables = self._tree.get("preset", {})
        if not isinstance(tables, dict) or not all(isinstance(table, dict) for table in tables.values()):
            self._wrong(("preset",), "E-CONFIG-SECTION", key="preset", form="[preset.NAME]")
            return presets
        if len(tables) > MAX_PRESETS:
            self._wrong(("preset",), "E-CONFIG-MANY", section="preset", count=len(tables), most=MAX_PRESETS)
        lines: dict[str, int] = {}
        for written, table in tables.items():
            path, name = ("preset", written), preset_name(written)
            line, _ = self._places.where(path)
            if lines.setdefault(name, line) != line:
                self._wrong(path, "E-CONFIG-NAME-TWICE", name=written, line=lines[name])
            section = self._section(path, table, PresetSection)
            presets[name] = None if section is None else self._preset(path, section, PRESETS.get(name))
        return presets

    def _preset(self, path: KeyPath, section: PresetSection, usual: Preset | None) -> Preset | None:
        """One preset; the usual one's figures hold on in its own unit only."""
        if section.unit is None and usual is None:
            self._wrong(path, "E-CONFIG-KEY-MISSING", key="unit")
            return None
        unit = section.unit or (usual.unit if usual else "")
        if usual is None or unit_meant(unit) != unit_meant(usual.unit):
            usual = Preset(unit)
        columns = ("ll", "l", "h", "hh")
        edges = {key: value for key in columns if (value := getattr(section, key)) is not None}
        preset = usual.edited(edges, section.deadband)
        for key, code, facts in preset.mistakes():
            self._wrong((*path, key), code, name=path[-1], **facts)
        return preset

    def _balances(self, table: PointTable) -> list[Balance]:
        found = []
        for path, row in self._rows("balance"):
            section = self._section(path, row, BalanceSection)
            if section is None:
                continue
            balance, mistakes = judged(Balance(**dict(section)), table.tags)
            for mistake in mistakes:
                self._wrong((*path, mistake.key), mistake.code, **mistake.facts)
            found.append(balance)
        return found

    def _roles(self) -> dict[str, str]:
        roles = self._tree.get("roles", {})
        if not isinstance(roles, dict):
            self._wrong(("roles",), "E-CONFIG-SECTION", key="roles", form="[roles]")
            return {}
        adapter = TypeAdapter(dict[str, Role])
        return self._validated(("roles",), roles, partial(adapter.validate_json, strict=True)) or {}

    # --- one table --------------------------------------------------------------------------------------

    def _section(self, path: KeyPath, table: dict[str, Any], model: type[_SectionT]) -> _SectionT | None:
        self._check_keys(path, table, set(model.model_fields))
        table = {key: value for key, value in table.items() if key in model.model_fields}
        section: _SectionT | None = self._validated(
            path, table, partial(model.model_validate_json, strict=True)
        )
        if section is None:
            return None
        values = {key: getattr(section, key) for key in model.model_fields}
        paths = {key: value for key, value in values.items() if isinstance(value, Path)}
        return section.model_copy(
            update={key: self._resolved(value, (*path, key)) for key, value in paths.items()}
        )

    def _check_keys(self, path: KeyPath, table: dict[str, Any], known: set[str]) -> None:
        unknown = table.keys() - known
        plain = {key for key in unknown if not isinstance(table[key], dict | list) or path}
        lost = lost_section(plain, SECTIONS.keys() - self._tree.keys())
        if lost is not None:
            name, its = lost
            self._missing((*path, min(its, key=lambda key: self._places.where((*path, key)))), name)
            unknown -= its
        for key in unknown:
            hint = meant(key, known - table.keys())
            # What is not known for a wrong heading needs no mistake of its own.
            if not path:
                self._lost |= {name for name in SECTIONS if f"“{name}”" in hint["zh"]}
                self._unsure |= {*MAX_OF_SECTION} & self._lost
            self._wrong((*path, key, 0), "E-CONFIG-KEY-UNKNOWN", key=key, meant=hint)

    def _missing(self, path: KeyPath, name: str) -> None:
        """Say once that a section's heading is missing: at its keys where they stand elsewhere."""
        self._unsure |= {name}
        if name not in self._lost:
            self._lost.add(name)
            form = f"[{name}]" if name in SINGLE_SECTIONS else f"[[{name}]]"
            hint = both("加上这一节；样例见 docs/sample。", "Add it; docs/sample holds a sample.")
            if path:
                hint = both(
                    f"在“{path[-1]}”上面加一行 {form}。", f'Write {form} in a line above "{path[-1]}".'
                )
            self._wrong(path, "E-CONFIG-SECTION-MISSING", form=form, hint=hint)

    def _validated(self, path: KeyPath, table: dict[str, Any], validate: Any) -> Any:
        """Through JSON, because strict JSON takes a string for a path and a list for a tuple, nothing else."""
        endless = [
            key for key, value in table.items() if isinstance(value, float) and not math.isfinite(value)
        ]
        for key in endless:
            self._wrong((*path, key), "E-CONFIG-TYPE-NUMBER", key=key)
        if endless:
            return None
        try:
            return validate(json.dumps(table, default=str))
        except ValidationError as error:
            for problem in error.errors():
                self._explain(
                    (*path, *problem["loc"]), problem["type"], problem.get("ctx", {}), problem["msg"]
                )
        return None

    def _explain(self, where: KeyPath, kind: str, facts: dict[str, Any], message: str) -> None:
        wrong = facts.get("error")
        if isinstance(wrong, PointError):
            line, column = self._places.where((*where, wrong.field))
            place = f"{self._path}:{line}:{column}"
            error = UserFacingError("E-CONFIG-DRIVER", Exit.USER_FILE, place, wrong.cause, wrong.remedy)
            self._mistakes.append((line, column, error))
            for other in wrong.others:
                self._explain(where, kind, {"error": other}, message)
            return
        key = next((part for part in reversed(where) if isinstance(part, str)), "")
        code = CODE_OF_PROBLEM.get(kind, "E-CONFIG-VALUE")
        rule = PATTERN_RULES.get(facts.get("pattern", ""), both("", ""))
        if "expected" in facts:
            facts = {
                **facts,
                "expected": both(
                    facts["expected"].replace(" or ", "、").replace(", ", "、"), facts["expected"]
                ),
            }
        self._wrong(where, code, **{**facts, "key": key, "message": wrong or message, "rule": rule})

    def _resolved(self, path: Path, where: KeyPath) -> Path:
        text = str(path)
        if text.startswith(CREDENTIALS_VARIABLE + "/"):
            folder = os.environ.get("CREDENTIALS_DIRECTORY", SERVICE_CREDENTIALS)
            return Path(folder) / text[len(CREDENTIALS_VARIABLE) + 1 :]
        if "$" in text:
            self._wrong(where, "E-CONFIG-PATH-VARIABLE", written=text)
        return self._folder / path

    def _wrong(self, path: KeyPath, code: str, /, **facts: object) -> None:
        line, column = self._places.where(path)
        self._mistakes.append((line, column, said(code, f"{self._path}:{line}:{column}", **facts)))
