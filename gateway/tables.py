"""What people see of a running gateway: status in, tables and lines out. Touches only the local time zone.

The order is the order of the questions: is it alive, does the province have it, what is in alarm.
The shape of the status is that of the control socket's ``status``. Over 400 lines: its words are one table in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

Item: TypeAlias = dict[str, Any]

WHOLE: Final = float(1 << 53)
"""Up to here a double holds every whole number: it is shown with all its digits."""

MANY: Final = 1e6
"""From here on decimals say less than digits."""

WATCHED_SOURCES: Final = 8
"""So many devices are shown live, those that do not answer and the busiest first."""

WATCHED_ROWS: Final = 24
"""So many points are shown live, those by exception first."""

_WORDS: Final[dict[str, tuple[str, str]]] = {
    "alarm_id": ("编号", "ID"),
    "acknowledged": ("已确认", "Acknowledged"),
    "acknowledged_until": ("最近确认", "Last receipt"),
    "alarms": ("报警", "Alarms"),
    "backlog": ("积压", "Backlog"),
    "bad": ("坏值", "Bad"),
    "cameras": ("摄像头", "Cameras"),
    "can_stay_offline": ("可离线", "Can stay offline"),
    "clock": ("时钟", "Clock"),
    "configuration": ("配置", "Configuration"),
    "description": ("描述", "Description"),
    "detail": ("说明", "Detail"),
    "device": ("设备", "Device"),
    "devices": ("设备", "Devices"),
    "good": ("好值", "Good"),
    "level": ("级别", "Level"),
    "limit": ("限值", "Limit"),
    "load": ("总线负荷", "Bus load"),
    "name": ("名称", "Name"),
    "no_alarms": ("没有报警。", "No alarms."),
    "no_recipients": ("没有配置接收方。", "No recipients configured."),
    "oldest": ("最早积压", "Oldest waiting"),
    "outputs": ("本地输出", "Local outputs"),
    "peak": ("极值", "Peak"),
    "points": ("点", "Points"),
    "quality": ("质量", "Quality"),
    "raised": ("起始", "Raised"),
    "recipients": ("接收方", "Recipients"),
    "rejected": ("拒收", "Rejected"),
    "returned": ("已恢复", "Returned"),
    "running": ("运行中", "running"),
    "since": ("自", "Since"),
    "site": ("站点", "site"),
    "state": ("状态", "State"),
    "storage": ("存储", "Storage"),
    "tag": ("位号", "Tag"),
    "unacknowledged": ("未确认", "Unacknowledged"),
    "unit": ("单位", "Unit"),
    "value": ("数值", "Value"),
    "version": ("版本", "version"),
    # states and causes as the status spells them
    "BAD": ("坏值", "bad"),
    "COMM": ("通信中断", "no comm"),
    "FAULT": ("故障", "fault"),
    "H": ("高", "H"),
    "HH": ("高高", "HH"),
    "L": ("低", "L"),
    "LL": ("低低", "LL"),
    "ON": ("动作", "ON"),
    "calibration": ("标定", "calibration"),
    "clear": ("恢复", "cleared"),
    "comm": ("通信中断", "no communication"),
    "connected": ("已连接", "connected"),
    "connecting": ("连接中", "connecting"),
    "dead": ("损坏", "dead"),
    "failing": ("故障", "failing"),
    "full": ("已满", "full"),
    "device_fault": ("设备故障", "device fault"),
    "disabled": ("停用", "disabled"),
    "disconnected": ("未连接", "not connected"),
    "failed": ("失败", "failed"),
    "frozen": ("数据不变", "frozen"),
    "garbled": ("应答错乱", "garbled"),
    "good_quality": ("好", "good"),
    "holdover": ("守时", "holdover"),
    "maintenance": ("维护", "maintenance"),
    "manual": ("手动", "manual"),
    "muted": ("消音", "muted"),
    "not_read": ("未读到", "not read"),
    "ok": ("正常", "ok"),
    "over_range": ("超上量程", "over range"),
    "refused": ("设备拒绝", "refused"),
    "simulation": ("仿真", "simulation"),
    "stalled": ("停滞", "stalled"),
    "startup": ("启动中", "starting"),
    "synchronised": ("已同步", "synchronised"),
    "unauthorised": ("未授权", "not authorised"),
    "uncertain": ("可疑", "uncertain"),
    "under_range": ("超下量程", "under range"),
    "unsynchronised": ("未同步", "not synchronised"),
    "waiting": ("等待重连", "waiting"),
    "warm_up": ("预热", "warming up"),
}
_STYLES: Final = {
    **dict.fromkeys(
        ("LL", "HH", "dead", "failed", "failing", "full", "unauthorised", "disconnected"), "bold red"
    ),
    **dict.fromkeys(
        ("L", "H", "ON", "COMM", "BAD", "FAULT", "stalled", "waiting", "unsynchronised"), "yellow"
    ),
    **dict.fromkeys(("ok", "connected", "synchronised"), "green"),
}
_SECONDS: Final = (("天", "d", 86_400), ("小时", "h", 3600), ("分", "min", 60), ("秒", "s", 1))


def word(key: str, language: str) -> str:
    """A word of the status in a language; an unknown one as it is."""
    pair = _WORDS.get(key)
    return key if pair is None else pair[0 if language == "zh" else 1]


def status_view(status: Item, language: str) -> RenderableType:
    """The whole status without points."""
    return Group(
        headline(status, language),
        sources_table(status["sources"], language),
        storage_line(status["spool"], language),
        *_parts(status, language),
        recipients_table(status["recipients"], language),
        alarms_table(status["alarms"], language),
    )


def watch_view(status: Item, language: str, rows: int = WATCHED_ROWS) -> RenderableType:
    """The live table: the status in short, then the points, those in alarm or without a good value first."""
    return Group(
        headline(status, language),
        sources_line(status["sources"], language),
        recipients_table(status["recipients"], language),
        alarms_table(status["alarms"][:rows], language),
        points_table(by_exception(status["points"])[:rows], language),
    )


def by_exception(points: Sequence[Item]) -> list[Item]:
    """Points in alarm first, then those without a good value, then the rest in the table's order."""
    return sorted(points, key=lambda point: (not point["level"], point["quality"] == "good"))


def headline(status: Item, language: str) -> Text:
    """Is it alive: who, since when, with which clock."""
    clock = status["clock"]["state"]
    line = Text("● ", style="green")
    line.append(status["gateway_id"], style="bold")
    line.append(f"  {word('site', language)} {status['site_id']}  ")
    line.append(f"{word('running', language)} {duration(status['uptime_s'], language)}  ")
    line.append(f"{word('clock', language)} ")
    line.append(word(clock, language), style=_STYLES.get(clock, ""))
    line.append(f"  {word('version', language)} {status['version']}")
    line.append(f"  {word('configuration', language)} {status['config_rev']}", style="dim")
    return line


def sources_table(sources: Sequence[Item], language: str) -> RenderableType:
    """Every device: does it answer, how many of its points are good, how busy is its line; below it what to mend."""
    table = _table("devices", ("name", "state", "since", "good", "bad", "load", "detail"), language)
    for source in sources:
        state = "connected" if source["connected"] else "disconnected"
        bad = Text(str(source["bad"]), style="yellow" if source["bad"] else "")
        good, since = _text(source["good"]), _text(moment(source["since"]))
        table.add_row(
            _text(source["name"]),
            _state(state, language),
            since,
            good,
            bad,
            _text(percent(source["load_percent"])),
            _text(source["detail"]),
        )
    warnings = (Text(f"! {s['name']}  {s['warning']}", style="yellow") for s in sources if s["warning"])
    return Group(table, *warnings)


def sources_line(sources: Sequence[Item], language: str) -> Text:
    """The devices in short: those that do not answer first, then the busiest lines."""
    urgent = sorted(sources, key=lambda source: (source["connected"], -(source["load_percent"] or 0.0)))
    line = Text(word("devices", language), style="bold")
    for source in urgent[:WATCHED_SOURCES]:
        state = "connected" if source["connected"] else "disconnected"
        line.append(f"  {source['name']} ", style="not bold").append_text(_state(state, language))
        if source["load_percent"] is not None:
            line.append(f" {word('load', language)} {percent(source['load_percent'])}", style="not bold")
        if source["warning"]:
            line.append(" !", style="yellow")
    more = len(sources) - WATCHED_SOURCES
    return line.append(f"  +{more}", style="dim") if more > 0 else line


def storage_line(spool: Item, language: str) -> Text:
    """The record: does it take what comes, and how full it is."""
    line = Text(f"{word('storage', language)} ", style="bold")
    line.append_text(_state(spool["state"], language))
    line.append(f"  {_mebibytes(spool['bytes'])} / {_mebibytes(spool['quota_bytes'])}")
    line.append(f"  {_told(spool.get('detail', ''), language)}\n")
    return line


def recipients_table(recipients: Sequence[Item], language: str) -> RenderableType:
    """Does the province have it: per recipient the last receipt, what waits, how long it may stay away."""
    if not recipients:
        return _text(word("no_recipients", language))
    columns = (
        "name",
        "state",
        "acknowledged_until",
        "backlog",
        "oldest",
        "can_stay_offline",
        "rejected",
        "detail",
    )
    table = _table("recipients", columns, language)
    for recipient in recipients:
        offline_s = recipient["can_stay_offline_s"]
        table.add_row(
            _text(recipient["name"]),
            _state(recipient["state"], language),
            _text(moment(recipient["last_acknowledged_at"])),
            Text(str(recipient["backlog_records"]), style="yellow" if recipient["backlog_records"] else ""),
            _text(moment(recipient["backlog_oldest_at"])),
            _text("—" if offline_s is None else duration(offline_s, language)),
            Text(str(recipient["rejected"]), style="red" if recipient["rejected"] else ""),
            _text(_told(recipient["detail"], language)),
        )
    return table


def alarms_table(alarms: Sequence[Item], language: str) -> RenderableType:
    """What is in alarm, in the order the gateway gives."""
    if not alarms:
        return Text(word("no_alarms", language), style="green")
    columns = ("level", "tag", "description", "value", "peak", "limit", "raised", "state", "alarm_id")
    table = _table("alarms", columns, language)
    for alarm in alarms:
        level = alarm["level"]["current"]
        parts = [] if alarm["active"] else ["returned"]
        parts.append("acknowledged" if alarm["acknowledged"] else "unacknowledged")
        table.add_row(
            _state(level, language) if alarm["active"] else Text(word(level, language), style="dim"),
            _text(alarm["point_id"] or alarm["source"]),
            _text(_alarm_text(alarm, language)),
            _text(number(alarm["value"])),
            _text(number(alarm["peak"])),
            _text(number(alarm["limit_edge"])),
            _text(moment(alarm["t_raised"])),
            Text(
                " ".join(word(part, language) for part in parts),
                style="" if alarm["acknowledged"] else "bold",
            ),
            Text(alarm["alarm_id"], style="dim"),
        )
    return table


def points_table(points: Sequence[Item], language: str) -> Table:
    """Points with their last value."""
    table = _table("points", ("tag", "description", "value", "unit", "quality", "level"), language)
    for point in points:
        table.add_row(
            _text(point["name"]),
            _text(point["description"]),
            _text(number(point["value"])),
            _text(point["unit"]),
            Text(quality(point, language), style="" if point["quality"] == "good" else "yellow"),
            _state(point["level"], language),
        )
    return table


def changes(before: Item | None, now: Item, language: str) -> list[str]:
    """What differs between two statuses, a line each, for watching without a terminal."""
    at = moment(now["now"])
    lines: list[str] = []

    def compare(section: str, key: str, line: Callable[[Item], str], *, gone: str = "") -> None:
        old = {} if before is None else {item[key]: line(item) for item in before[section]}
        new = {item[key]: line(item) for item in now[section]}
        lines.extend(f"{at}  {text}" for name, text in new.items() if old.get(name) != text)
        if gone:
            lines.extend(f"{at}  {text}  {gone}" for name, text in old.items() if name not in new)

    compare("sources", "name", lambda item: _source_line(item, language))
    compare("recipients", "name", lambda item: f"{item['name']}  {word(item['state'], language)}")
    compare("alarms", "alarm_id", lambda item: _alarm_line(item, language), gone=word("clear", language))
    compare("points", "name", lambda item: _point_line(item, language))
    return lines


def quality(point: Item, language: str) -> str:
    """Quality of a point in words: good, or the cause why not."""
    if point["quality"] == "good":
        return word("good_quality", language)
    return word(point["quality"] if point["cause"] == "none" else point["cause"], language)


def number(value: float | str | None) -> str:
    """A value as people read it: a whole number with all its digits, a text in one line, a dash for none."""
    if value is None:
        return "—"
    if isinstance(value, str):
        # What a PLC calls a text must not move the cursor of who reads it.
        return "".join(letter if letter.isprintable() else "·" for letter in value)
    if isinstance(value, int):
        return str(value)
    return f"{value:.0f}" if MANY <= abs(value) < WHOLE else f"{value:.6g}"


def percent(share: float | None) -> str:
    """A share as people read it; a dash where nobody measures it."""
    return "—" if share is None else f"{share:.0f} %"


def moment(stamp: str | None) -> str:
    """A time stamp as local time of day, with the date unless it is today's; a dash where there is none."""
    if not stamp:
        return "—"
    local = dt.datetime.fromisoformat(stamp).astimezone()
    today = local.date() == dt.datetime.now(dt.UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if today else "%Y-%m-%d %H:%M:%S")


def duration(seconds: float, language: str) -> str:
    """A duration in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for zh, en, size in _SECONDS:
        count, left = divmod(left, size)
        if count or parts or size == 1:
            parts.append(f"{count} {zh if language == 'zh' else en}")
    return " ".join(parts[:2])


def _source_line(item: Item, language: str) -> str:
    state = word("connected" if item["connected"] else "disconnected", language)
    return f"{item['name']}  {state}  {word('bad', language)} {item['bad']}"


def _alarm_line(item: Item, language: str) -> str:
    level = word(item["level"]["current"], language)
    seen = word("acknowledged" if item["acknowledged"] else "unacknowledged", language)
    state = "" if item["active"] else f"  {word('returned', language)}"
    name = item["point_id"] or item["source"]
    return f"! {name}  {_alarm_text(item, language)}  {level}  {number(item['value'])}{state}  {seen}"


def _alarm_text(item: Item, language: str) -> str:
    """What an alarm is about: with a bad value its cause, with a source how many points it stands for."""
    if item["type"] == "quality":
        return f"{item['text']}  {word(item['cause'], language)}"
    if item.get("points"):
        return f"{item['text']}  {item['points']} {'点' if language == 'zh' else 'points'}"
    return str(item["text"])


def _point_line(item: Item, language: str) -> str:
    return f"{item['name']}  {number(item['value'])} {item['unit']}  {quality(item, language)}".rstrip()


def _parts(status: Item, language: str) -> Iterable[Text]:
    """One line each for outputs and cameras, if there are any."""
    for section in ("outputs", "cameras"):
        if not status[section]:
            continue
        line = Text(f"{word(section, language)} ", style="bold")
        for item in status[section]:
            line.append(f" {item['name']} ").append_text(_state(item["state"], language))
            line.append(f" {_told(item['detail'], language)}".rstrip())
        yield line


def _table(title: str, columns: Sequence[str], language: str) -> Table:
    table = Table(title=word(title, language), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        figures = column in {"value", "peak", "limit", "good", "bad", "backlog", "rejected"}
        table.add_column(word(column, language), justify="right" if figures else "left")
    return table


def _text(value: object) -> Text:
    """As it is: a tag may hold brackets, which rich would read as markup."""
    return Text(str(value))


def _state(key: str, language: str) -> Text:
    return Text(word(key, language), style=_STYLES.get(key, ""))


def _told(detail: str | dict[str, str], language: str) -> str:
    return detail.get(language, "") if isinstance(detail, dict) else detail


def _mebibytes(size: int | None) -> str:
    return "—" if size is None else f"{size / (1 << 20):,.1f} MiB"
