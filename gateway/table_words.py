"""What the status says, as people read it: words, figures, times, tables. Touches only the local time zone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from rich.text import Text

from gateway.listing import Listing, Row

Item: TypeAlias = dict[str, Any]

WHOLE: Final = float(1 << 53)
"""Up to here a double holds every whole number: it is shown with all its digits."""

MANY: Final = 1e6
"""From here on decimals say less than digits."""

WORDS: Final[dict[str, tuple[str, str]]] = {
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
    "horn": ("声响", "horn"),
    "lamp": ("灯光", "lamp"),
    "lamp_test": ("（试灯试音）", "(lamp test)"),
    "last": ("上次", "last"),
    "level": ("级别", "Level"),
    "limit": ("限值", "Limit"),
    "load": ("通信占用", "Line in use"),
    "name": ("名称", "Name"),
    "no_alarms": ("没有报警。", "No alarms."),
    "no_recipients": ("没有配置接收方。", "No recipients configured."),
    "off": ("：关", " off"),
    "oldest": ("最早积压", "Oldest waiting"),
    "on": ("：开", " on"),
    "outputs": ("本地输出", "Local outputs"),
    "peak": ("极值", "Peak"),
    "points": ("点", "Points"),
    "quality": ("质量", "Quality"),
    "raised": ("起始", "Raised"),
    "recipients": ("接收方", "Recipients"),
    "rejected": ("拒收", "Rejected"),
    "returned": ("已恢复", "Returned"),
    "running": ("运行中", "running"),
    "silenced": ("已消音", "silenced"),
    "since": ("自", "Since"),
    "site": ("站点", "site"),
    "state": ("状态", "State"),
    "storage": ("存储", "Storage"),
    "tag": ("位号", "Tag"),
    "unacknowledged": ("未确认", "Unacknowledged"),
    "unit": ("单位", "Unit"),
    "value": ("数值", "Value"),
    "version": ("版本", "version"),
    # what becomes of an alarm
    "acknowledged_by": ("确认人", "Acknowledged by"),
    "active": ("未恢复", "Active"),
    "advisory": ("提示", "advice"),
    "approved_by": ("批准", "approved by"),
    "area": ("区域", "Area"),
    "at_start": ("启动时已有", "at start"),
    "by": ("操作人", "By"),
    "change": ("修改", "Change"),
    "count": ("数量", "Count"),
    "filed": ("备案", "filed"),
    "first": ("最先", "First"),
    "first_out": ("首出", "first-out"),
    "forecast": ("趋势", "Forecast"),
    "flood": ("报警泛滥（按区域归并，--all 逐条显示）", "Alarm flood (in groups; --all shows each)"),
    "held": ("搁置、停用、抑制、测试", "Held back and tests"),
    "held_out_of_service": ("停用", "out of service"),
    "held_shelve": ("搁置", "shelved"),
    "held_suppressed": ("抑制", "suppressed"),
    "held_test": ("测试", "test"),
    "no_alarm_yet": ("没有报警", "no alarm"),
    "kind": ("类型", "Kind"),
    "last_known": ("最后已知", "last known"),
    "latched": ("锁存", "latched"),
    "limits": ("限值（括号内为点表值）", "Limits (the point table's in brackets)"),
    "limits_as_table": ("所有限值都与点表一致。", "All limits are as in the point table."),
    "limits_changed": ("限值与点表不同", "limits not as in the table"),
    "limits_staged": ("限值待批准", "limits to be approved"),
    "looser": ("比备案宽松", "Looser than filed"),
    "marks": ("标记", "Marks"),
    "nothing_held": ("没有搁置、停用、抑制或测试。", "Nothing is held back, no test runs."),
    "out_of_service": ("停用", "out of service"),
    "reason": ("原因", "Reason"),
    "remaining": ("剩余", "Left"),
    "repeat_count": ("重复", "repeats"),
    "shelved": ("搁置", "shelved"),
    "shelved_until": ("搁置至", "shelved until"),
    "staged": ("待第二人批准", "Waiting for a second person"),
    "suppressed": ("抑制", "suppressed"),
    "target": ("对象", "Target"),
    "test": ("测试", "test"),
    "type_comm": ("通信", "communication"),
    "type_deviation": ("偏差", "deviation"),
    "type_digital": ("开关量", "digital"),
    "type_discrepancy": ("物料平衡", "mass balance"),
    "type_gateway": ("网关自身", "the gateway itself"),
    "type_limit": ("越限", "limit"),
    "type_quality": ("坏值", "quality"),
    "type_rate": ("变化率", "rate of change"),
    "until": ("至", "Until"),
    # states and causes as the status spells them
    "ABOVE": ("偏高", "above"),
    "BELOW": ("偏低", "below"),
    "FALL": ("下降过快", "falls fast"),
    "FROZEN": ("数据不变", "frozen"),
    "MISFIT": ("不平衡", "misfit"),
    "RANGE": ("超量程", "out of range"),
    "RISE": ("上升过快", "rises fast"),
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
STYLES: Final = {
    **dict.fromkeys(
        ("LL", "HH", "dead", "failed", "failing", "full", "unauthorised", "disconnected"), "bold red"
    ),
    **dict.fromkeys(
        (
            "L",
            "H",
            "ON",
            "RISE",
            "FALL",
            "ABOVE",
            "BELOW",
            "COMM",
            "BAD",
            "FROZEN",
            "RANGE",
            "FAULT",
            "stalled",
            "waiting",
            "unsynchronised",
        ),
        "yellow",
    ),
    **dict.fromkeys(("ok", "connected", "synchronised"), "green"),
}
MORE: Final = {
    "alarms": ("还有 {} 条报警未显示", "{} more alarms not shown"),
    "points": ("还有 {} 个点未显示", "{} more points not shown"),
}


def word(key: str, language: str) -> str:
    """A word of the status in a language; an unknown one as it is."""
    pair = WORDS.get(key)
    return key if pair is None else pair[0 if language == "zh" else 1]


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


def listing(
    title: str, columns: Sequence[str], rows: Sequence[Row], language: str, below: Sequence[str]
) -> Listing:
    """A table with the words of the status; ``below``: columns that go below their row where it is narrow."""

    def more(count: int) -> str:
        chinese, english = MORE.get(title, ("还有 {} 行未显示", "{} more rows not shown"))
        return (chinese if language == "zh" else english).format(count)

    return Listing(word(title, language), columns, rows, below, lambda key: word(key, language), more)


def plain_text(value: object) -> Text:
    """As it is, in one line: a tag may hold brackets, which rich would read as markup."""
    return Text(number(str(value)))


def state_text(key: str, language: str) -> Text:
    """A state in its colour."""
    return Text(word(key, language), style=STYLES.get(key, ""))
