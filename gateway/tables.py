"""What people see of a running gateway: status in, tables and lines out. Touches only the local time zone.

The order is the order of the questions: is it alive, does the province have it, what is in alarm.
The shape of the status is that of the control socket's ``status``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.text import Text

from gateway.alarm_tables import alarm_blocks, alarm_line, held_line
from gateway.details import spoken
from gateway.listing import Listing, segments
from gateway.span import duration
from gateway.table_words import STYLES, Item, listing, moment, number, percent, plain_text, state_text, word
from gateway.tables_above import WATCHED_LINES, warning_changes, warnings_table

LEAST_MINUTES: Final = 3
"""A forecast that ends sooner is told in seconds."""

WATCHED_SOURCES: Final = 8
"""So many devices are shown live, those that do not answer and the busiest first."""

POINTS_LINES: Final = 7
"""So many lines are kept for points however many alarms there are: heading, three rows, how many are missing."""


def status_view(status: Item, language: str) -> RenderableType:
    """The whole status without points."""
    return Group(
        headline(status, language),
        sources_table(status["sources"], language),
        storage_line(status["spool"], language),
        *_parts(status, language),
        recipients_table(status["recipients"], language),
        *_from_above(status, language),
        *held_line(status, language),
        *alarm_blocks(status, language),
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
            *held_line(status, language),
        )
        lines = console.render_lines(top, options, pad=False)
        for block in _from_above(status, language):
            lines += block.lines(console, options, WATCHED_LINES)
        points = points_table(by_exception(status["points"]), language)
        end = height - min(POINTS_LINES, 3 + len(points.rows))
        for alarms in alarm_blocks(status, language):
            if isinstance(alarms, Listing):
                lines += alarms.lines(console, options, end - len(lines))
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
    line.append(word(clock, language), style=STYLES.get(clock, ""))
    line.append(f"  {word('version', language)} {status['version']}")
    line.append(f"  {word('configuration', language)} {status['config_rev']}", style="dim")
    return line


def sources_table(sources: Sequence[Item], language: str) -> RenderableType:
    """Every device: does it answer, how many of its points are good, how busy is its line; below it what to mend."""
    rows = [
        {
            "name": plain_text(source["name"]),
            "state": state_text(_source_state(source), language),
            "since": plain_text(moment(source["since"])),
            "good": plain_text(source["good"]),
            "bad": Text(str(source["bad"]), style="yellow" if source["bad"] else ""),
            "load": plain_text(percent(source["load_percent"])),
            "detail": plain_text(spoken(source["detail"], language)),
        }
        for source in sources
    ]
    columns = ("name", "state", "since", "good", "bad", "load", "detail")
    warnings = (
        Text(f"! {source['name']}  {spoken(source['warning'], language)}", style="yellow")
        for source in sources
        if source["warning"]
    )
    return Group(listing("devices", columns, rows, language, below=("detail",)), *warnings, "")


def sources_line(sources: Sequence[Item], language: str) -> Text:
    """The devices in short: those that do not answer first, then the busiest lines."""
    urgent = sorted(
        sources,
        key=lambda source: (_source_state(source) != "disconnected", -(source["load_percent"] or 0.0)),
    )
    line = Text(word("devices", language), style="bold")
    for source in urgent[:WATCHED_SOURCES]:
        line.append(f"  {source['name']} ", style="not bold")
        line.append_text(state_text(_source_state(source), language))
        if source["load_percent"] is not None:
            line.append(f" {word('load', language)} {percent(source['load_percent'])}", style="not bold")
        if source["warning"]:
            line.append(" !", style="yellow")
    more = len(sources) - WATCHED_SOURCES
    return line.append(f"  +{more}", style="dim") if more > 0 else line


def storage_line(spool: Item, language: str) -> Text:
    """The record: does it take what comes, and how full it is."""
    line = Text(f"{word('storage', language)} ", style="bold")
    line.append_text(state_text(spool["state"], language))
    line.append(f"  {_mebibytes(spool['bytes'])} / {_mebibytes(spool['quota_bytes'])}")
    line.append(f"  {_told(spool.get('detail', ''), language)}\n")
    return line


def recipients_table(recipients: Sequence[Item], language: str) -> RenderableType:
    """Does the province have it: per recipient the last receipt, what waits, how long it may stay away."""
    if not recipients:
        return plain_text(word("no_recipients", language))
    rows = []
    for recipient in recipients:
        offline_s = recipient["can_stay_offline_s"]
        rows.append(
            {
                "name": plain_text(recipient["name"]),
                "state": state_text(recipient["state"], language),
                "acknowledged_until": plain_text(moment(recipient["last_acknowledged_at"])),
                "backlog": _waiting(recipient),
                "can_stay_offline": plain_text("—" if offline_s is None else duration(offline_s, language)),
                "rejected": Text(str(recipient["rejected"]), style="red" if recipient["rejected"] else ""),
                "oldest": plain_text(moment(recipient["backlog_oldest_at"])),
                "detail": plain_text(_told(recipient["detail"], language)),
            }
        )
    return Group(listing("recipients", tuple(rows[0]), rows, language, below=("oldest", "detail")), "")


def recipients_line(recipients: Sequence[Item], language: str) -> Text:
    """The recipients in short: state, what waits, the last receipt."""
    if not recipients:
        return plain_text(word("no_recipients", language))
    line = Text(word("recipients", language), style="bold")
    for recipient in recipients:
        line.append(f"  {recipient['name']} ", style="not bold").append_text(
            state_text(recipient["state"], language)
        )
        line.append(f" {word('backlog', language)} ", style="not bold").append_text(_waiting(recipient))
        receipt = moment(recipient["last_acknowledged_at"])
        line.append(f" {word('acknowledged_until', language)} {receipt}", style="not bold")
    return line


def points_table(points: Sequence[Item], language: str) -> Listing:
    """Points with their last value; one that is not of now says so."""
    rows = [
        {
            "tag": plain_text(point["name"]),
            "description": plain_text(point["description"]),
            "value": _value(point, language),
            "unit": plain_text(point["unit"]),
            "quality": Text(quality(point, language), style="" if point["quality"] == "good" else "yellow"),
            "level": state_text(point["level"], language),
            "forecast": Text(forecast(point, language), style="yellow"),
        }
        for point in points
    ]
    columns = ("tag", "description", "value", "unit", "quality", "level")
    if any(point.get("forecast") for point in points):
        return listing("points", (*columns, "forecast"), rows, language, below=("forecast",))
    return listing("points", columns, rows, language, below=())


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
            # What was known last of it is not how it ended: it has ended by a good value, and was seen to.
            last = [{**item, "last_known": False} for name, item in old.items() if name not in new]
            lines.extend(f"{at}  {line(item)}  {gone}" for item in last)

    compare("sources", "name", lambda item: _source_line(item, language))
    compare("recipients", "name", lambda item: f"{item['name']}  {word(item['state'], language)}")
    cleared = word("clear", language)
    compare("alarms", "alarm_id", lambda item: alarm_line(item, language), gone=cleared, moves="value")
    compare("points", "name", lambda item: _point_line(item, language))
    lines.extend(f"{at}  {line}" for line in warning_changes(before, now, language))
    return lines


def quality(point: Item, language: str) -> str:
    """Quality of a point in words: good, or the cause why not."""
    if point["quality"] == "good":
        return word("good_quality", language)
    return word(point["quality"] if point["cause"] == "none" else point["cause"], language)


def forecast(point: Item, language: str) -> str:
    """When a point may reach its next limit, if that can be said: ``HH in 12–18 min``."""
    told = point.get("forecast")
    if not told:
        return ""
    minutes = told["to_s"] >= LEAST_MINUTES * 60
    from_, to = (told["from_s"] // 60, -(-told["to_s"] // 60)) if minutes else (told["from_s"], told["to_s"])
    when = f"{from_}–{to}" if from_ != to else str(to)
    level = word(told["level"], language)
    if language == "zh":
        return f"{when} {'分' if minutes else '秒'}后到{level}"
    return f"{level} in {when} {'min' if minutes else 's'}"


def _source_state(item: Item) -> str:
    if item["connected"]:
        return "connected"
    return "disconnected" if item["points"] else "idle"


def _source_line(item: Item, language: str) -> str:
    state = word(_source_state(item), language)
    return f"{item['name']}  {state}  {word('bad', language)} {item['bad']}"


def _point_line(item: Item, language: str) -> str:
    return f"{item['name']}  {_value(item, language)} {item['unit']}  {quality(item, language)}".rstrip()


def _value(point: Item, language: str) -> Text:
    """The value; beside bad quality it is only the last one that was not, and says so with its time."""
    value = point["value"]
    if point["quality"] != "bad" or value is None:
        return plain_text(number(value))
    at = point.get("value_at")
    return Text(f"{word('last', language)} {number(value)}" + (f" ({moment(at)})" if at else ""), style="dim")


def _parts(status: Item, language: str) -> Iterable[Text]:
    """One line each for outputs and cameras, if there are any."""
    for section in ("outputs", "cameras"):
        if not status[section]:
            continue
        line = Text(f"{word(section, language)} ", style="bold")
        for index, item in enumerate(status[section]):
            line.append(f"{'  ·' if index else ''} {item['name']} ")
            line.append_text(state_text(item["state"], language))
            line.append(_shown(item, language))
            line.append(f" {_told(item['detail'], language)}".rstrip())
        yield line


def _shown(item: Item, language: str) -> str:
    """Whether a horn or lamp is on, and what is silenced."""
    if "on" not in item:
        return ""
    told = f" {word(item['signal'], language)}{word('on' if item['on'] else 'off', language)}"
    if item["lamp_test"]:
        told += f" {word('lamp_test', language)}"
    if item["silenced"]:
        told += f" {word('silenced', language)} {item['silenced']}"
    return told


def _from_above(status: Item, language: str) -> Iterable[Listing]:
    """The block of warnings from above, if there are any: beside the alarms, never among them."""
    table = warnings_table(status.get("warnings", ()), language)
    return () if table is None else (table,)


def _waiting(recipient: Item) -> Text:
    count = recipient["backlog_records"]
    return Text(str(count), style="yellow" if count else "not bold")


def _told(detail: str | dict[str, str], language: str) -> str:
    return detail.get(language, "") if isinstance(detail, dict) else spoken(detail, language)


def _mebibytes(size: int | None) -> str:
    return "—" if size is None else f"{size / (1 << 20):,.1f} MiB"
