"""What people see of a running gateway: status in, tables and lines out. Touches only the local time zone.

The order is the order of the questions: is it alive, does the province have it, what is in alarm.
The shape of the status is that of the control socket's ``status``. Over 400 lines: its words are one table in it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from gateway.details import condition, spoken
from gateway.listing import Listing, Row, segments

Item: TypeAlias = dict[str, Any]

WHOLE: Final = float(1 << 53)
"""Up to here a double holds every whole number: it is shown with all its digits."""

MANY: Final = 1e6
"""From here on decimals say less than digits."""

WATCHED_SOURCES: Final = 8
"""So many devices are shown live, those that do not answer and the busiest first."""

POINTS_LINES: Final = 7
"""So many lines are kept for points however many alarms there are: heading, three rows, how many are missing."""

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
    "gateway": ("网关", "gateway"),
    "good": ("好值", "Good"),
    "last": ("上次", "last"),
    "level": ("级别", "Level"),
    "limit": ("限值", "Limit"),
    "load": ("通信占用", "Line in use"),
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
    "idle": ("空闲", "idle"),
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
_MORE: Final = {
    "alarms": ("还有 {} 条报警未显示", "{} more alarms not shown"),
    "points": ("还有 {} 个点未显示", "{} more points not shown"),
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


@dataclass(frozen=True, slots=True)
class WatchView:
    """The live table: the status in short, then alarms and points, as many as the screen has lines for.

    Points in alarm or without a good value come first.

    Attributes:
        status: what the control socket gives with all points.
        language: ``zh`` or ``en``.
        height: lines it may take; None: those of the screen.
    """

    status: Item
    language: str
    height: int | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        height = self.height or options.height or options.max_height
        options = options.update(height=None)
        status, language = self.status, self.language
        top_line = headline(status, language)
        top_line.no_wrap, top_line.overflow = True, "ellipsis"
        top = Group(
            top_line,
            sources_line(status["sources"], language),
            recipients_line(status["recipients"], language),
        )
        lines = console.render_lines(top, options, pad=False)
        points = points_table(by_exception(status["points"]), language)
        alarms = alarms_table(status["alarms"], language)
        room = height - len(lines)
        if isinstance(alarms, Listing):
            lines += alarms.lines(console, options, room - min(POINTS_LINES, 3 + len(points.rows)))
        else:
            lines += console.render_lines(alarms, options, pad=False)
        yield from segments(lines)
        yield from segments(points.lines(console, options, height - len(lines)))


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
    rows = [
        {
            "name": _text(source["name"]),
            "state": _state(_source_state(source), language),
            "since": _text(moment(source["since"])),
            "good": _text(source["good"]),
            "bad": Text(str(source["bad"]), style="yellow" if source["bad"] else ""),
            "load": _text(percent(source["load_percent"])),
            "detail": _text(spoken(source["detail"], language)),
        }
        for source in sources
    ]
    columns = ("name", "state", "since", "good", "bad", "load", "detail")
    warnings = (
        Text(f"! {source['name']}  {spoken(source['warning'], language)}", style="yellow")
        for source in sources
        if source["warning"]
    )
    return Group(_listing("devices", columns, rows, language, below=("detail",)), *warnings, "")


def sources_line(sources: Sequence[Item], language: str) -> Text:
    """The devices in short: those that do not answer first, then the busiest lines."""
    urgent = sorted(
        sources,
        key=lambda source: (_source_state(source) != "disconnected", -(source["load_percent"] or 0.0)),
    )
    line = Text(word("devices", language), style="bold")
    for source in urgent[:WATCHED_SOURCES]:
        line.append(f"  {source['name']} ", style="not bold")
        line.append_text(_state(_source_state(source), language))
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
    rows = []
    for recipient in recipients:
        offline_s = recipient["can_stay_offline_s"]
        rows.append(
            {
                "name": _text(recipient["name"]),
                "state": _state(recipient["state"], language),
                "acknowledged_until": _text(moment(recipient["last_acknowledged_at"])),
                "backlog": _waiting(recipient),
                "can_stay_offline": _text("—" if offline_s is None else duration(offline_s, language)),
                "rejected": Text(str(recipient["rejected"]), style="red" if recipient["rejected"] else ""),
                "oldest": _text(moment(recipient["backlog_oldest_at"])),
                "detail": _text(_told(recipient["detail"], language)),
            }
        )
    return Group(_listing("recipients", tuple(rows[0]), rows, language, below=("oldest", "detail")), "")


def recipients_line(recipients: Sequence[Item], language: str) -> Text:
    """The recipients in short: state, what waits, the last receipt."""
    if not recipients:
        return _text(word("no_recipients", language))
    line = Text(word("recipients", language), style="bold")
    for recipient in recipients:
        line.append(f"  {recipient['name']} ", style="not bold").append_text(
            _state(recipient["state"], language)
        )
        line.append(f" {word('backlog', language)} ", style="not bold").append_text(_waiting(recipient))
        receipt = moment(recipient["last_acknowledged_at"])
        line.append(f" {word('acknowledged_until', language)} {receipt}", style="not bold")
    return line


def alarms_table(alarms: Sequence[Item], language: str) -> Listing | Text:
    """What is in alarm, in the order the gateway gives; where it is narrow the whole id stands below its alarm."""
    if not alarms:
        return Text(word("no_alarms", language), style="green")
    rows = []
    for alarm in alarms:
        level = alarm["level"]["current"]
        parts = [] if alarm["active"] else ["returned"]
        parts.append("acknowledged" if alarm["acknowledged"] else "unacknowledged")
        rows.append(
            {
                "level": _state(level, language)
                if alarm["active"]
                else Text(word(level, language), style="dim"),
                "raised": _text(moment(alarm["t_raised"])),
                "tag": _text(_alarm_name(alarm, language)),
                "description": _text(_alarm_text(alarm, language)),
                "value": _text(number(alarm["value"])),
                "state": Text(
                    " ".join(word(part, language) for part in parts),
                    style="" if alarm["acknowledged"] else "bold",
                ),
                "alarm_id": Text(alarm["alarm_id"], style="dim"),
                "peak": _text(number(alarm["peak"])),
                "limit": _text(number(alarm["limit_edge"])),
            }
        )
    return _listing("alarms", tuple(rows[0]), rows, language, below=("alarm_id", "peak", "limit"))


def points_table(points: Sequence[Item], language: str) -> Listing:
    """Points with their last value; one that is not of now says so."""
    rows = [
        {
            "tag": _text(point["name"]),
            "description": _text(point["description"]),
            "value": _value(point, language),
            "unit": _text(point["unit"]),
            "quality": Text(quality(point, language), style="" if point["quality"] == "good" else "yellow"),
            "level": _state(point["level"], language),
        }
        for point in points
    ]
    columns = ("tag", "description", "value", "unit", "quality", "level")
    return _listing("points", columns, rows, language, below=())


def changes(before: Item | None, now: Item, language: str) -> list[str]:
    """What differs between two statuses, a line each, for watching without a terminal."""
    at = moment(now["now"])
    lines: list[str] = []

    def compare(
        section: str, key: str, line: Callable[[Item], str], *, gone: str = "", moves: str = ""
    ) -> None:
        """``moves``: a key that changes all the time and is no news by itself."""
        old = {} if before is None else {item[key]: item for item in before[section]}
        new = {item[key]: item for item in now[section]}
        for name, item in new.items():
            known = old.get(name)
            still = known is not None and line({**known, moves: None}) == line({**item, moves: None})
            if not still:
                lines.append(f"{at}  {line(item)}")
        if gone:
            lines.extend(f"{at}  {line(item)}  {gone}" for name, item in old.items() if name not in new)

    compare("sources", "name", lambda item: _source_line(item, language))
    compare("recipients", "name", lambda item: f"{item['name']}  {word(item['state'], language)}")
    cleared = word("clear", language)
    compare("alarms", "alarm_id", lambda item: _alarm_line(item, language), gone=cleared, moves="value")
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
    """A time stamp as local time of day, with the date unless it is of today; a dash where there is none."""
    if not stamp:
        return "—"
    local = dt.datetime.fromisoformat(stamp).astimezone()
    today = dt.datetime.now(dt.UTC).astimezone().date()
    if local.date() == today:
        return local.strftime("%H:%M:%S")
    return local.strftime("%m-%d %H:%M:%S" if local.year == today.year else "%Y-%m-%d %H:%M:%S")


def duration(seconds: float, language: str) -> str:
    """A duration in its two largest units."""
    left = int(seconds)
    parts: list[str] = []
    for zh, en, size in _SECONDS:
        count, left = divmod(left, size)
        if count or parts or size == 1:
            parts.append(f"{count} {zh if language == 'zh' else en}")
    return " ".join(parts[:2])


def _source_state(item: Item) -> str:
    if item["connected"]:
        return "connected"
    return "disconnected" if item["points"] else "idle"


def _source_line(item: Item, language: str) -> str:
    state = word(_source_state(item), language)
    return f"{item['name']}  {state}  {word('bad', language)} {item['bad']}"


def _alarm_line(item: Item, language: str) -> str:
    level = word(item["level"]["current"], language)
    seen = word("acknowledged" if item["acknowledged"] else "unacknowledged", language)
    state = "" if item["active"] else f"  {word('returned', language)}"
    what = f"{_alarm_name(item, language)}  {_alarm_text(item, language)}"
    return f"! {what}  {level}  {number(item['value'])}{state}  {seen}"


def _alarm_name(item: Item, language: str) -> str:
    """The tag, the device that is silent, or the gateway itself."""
    if item["type"] == "gateway":
        return word("gateway", language)
    return str(item["point_id"] or item["source"])


def _alarm_text(item: Item, language: str) -> str:
    """What an alarm is about: with a bad value its cause, with a source how many points it stands for."""
    if item["type"] == "gateway":
        return condition(item["source"], language)
    if item["type"] == "quality":
        return f"{item['text']}  {word(item['cause'], language)}"
    if item.get("points"):
        return f"{item['text']}  {item['points']} {'点' if language == 'zh' else 'points'}"
    return str(item["text"])


def _point_line(item: Item, language: str) -> str:
    return f"{item['name']}  {_value(item, language)} {item['unit']}  {quality(item, language)}".rstrip()


def _value(point: Item, language: str) -> Text:
    """The value; beside bad quality it is only the last one that was not, and says so with its time."""
    value = point["value"]
    if point["quality"] != "bad" or value is None:
        return _text(number(value))
    at = point.get("value_at")
    return Text(f"{word('last', language)} {number(value)}" + (f" ({moment(at)})" if at else ""), style="dim")


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


def _listing(
    title: str, columns: Sequence[str], rows: Sequence[Row], language: str, below: Sequence[str]
) -> Listing:
    def more(count: int) -> str:
        chinese, english = _MORE.get(title, ("还有 {} 行未显示", "{} more rows not shown"))
        return (chinese if language == "zh" else english).format(count)

    return Listing(word(title, language), columns, rows, below, lambda key: word(key, language), more)


def _waiting(recipient: Item) -> Text:
    count = recipient["backlog_records"]
    return Text(str(count), style="yellow" if count else "not bold")


def _text(value: object) -> Text:
    """As it is, in one line: a tag may hold brackets, which rich would read as markup."""
    return Text(number(str(value)))


def _state(key: str, language: str) -> Text:
    return Text(word(key, language), style=_STYLES.get(key, ""))


def _told(detail: str | dict[str, str], language: str) -> str:
    return detail.get(language, "") if isinstance(detail, dict) else spoken(detail, language)


def _mebibytes(size: int | None) -> str:
    return "—" if size is None else f"{size / (1 << 20):,.1f} MiB"
