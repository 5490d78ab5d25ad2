"""docs/alarm-states.md out of the tables of ``alarm.parts``: what is printed is what decides. Pure."""

from __future__ import annotations

from typing import Final

from gateway.alarm.parts import PARTS, TRANSITIONS, Part, Transition

_PARTS_ZH: Final = {
    "active": ("激活", "未激活", "激活"),
    "acknowledged": ("确认", "未确认", "已确认"),
    "latched": ("锁存", "未锁存", "锁存"),
    "shelved": ("搁置", "未搁置", "已搁置"),
    "suppressed": ("抑制", "未抑制", "已抑制"),
    "out_of_service": ("停用", "在用", "已停用"),
}
"""Part -> its name, what it is called while False, while True."""

_TRANSITIONS: Final[dict[Transition, tuple[str, str]]] = {
    "raise": ("报警产生", "the condition becomes active: a new alarm"),
    "escalate": ("升级", "it moves to a worse level, in place"),
    "deescalate": ("降级", "it moves to a milder level, in place"),
    "cause": ("原因改变", "what is wrong has changed; that something is has not"),
    "clear": ("恢复", "the condition holds no longer"),
    "ack": ("确认", "a person has seen it"),
    "realarm": ("再次报警", "it stands long after its acknowledgement and calls again"),
    "reset": ("复位", "a person lets a latched alarm go"),
    "shelve": ("搁置", "a person shelves it for a time"),
    "unshelve": ("结束搁置", "a person ends the shelf, or its time is over"),
    "suppress": ("抑制", "the design suppresses it: a contact, maintenance, calibration, simulation"),
    "unsuppress": ("结束抑制", "what suppressed it is over"),
    "out_of_service": ("停用", "a person takes it out of service for a time"),
    "in_service": ("恢复启用", "a person puts it back, or the time is over"),
}

_OPENING: Final = """\
# 报警的状态 · An alarm's states

本页由 `plantgate alarms states` 从 `gateway/alarm/parts.py` 的表打印，不要手改。
This page is printed by `plantgate alarms states` from the tables in `gateway/alarm/parts.py`; do not edit it.

一条报警的状态由六个互不相干的部分组成。一个事件发生时，凡是表里写到它的部分都要允许它，否则这个事件不可能发生；
表里没有写到它的部分保持不变。报警产生时：激活、未确认；是否锁存由点表决定，是否搁置、抑制、停用按当时的情况。

An alarm's state is the product of six independent parts. An event happens if every part whose table mentions it allows
it from where that part stands; a part that does not mention it stays as it is. At the raise an alarm is active and
unacknowledged; whether it latches the point table says, whether it is shelved, suppressed or out of service what holds
then. An alarm ends when it is inactive, acknowledged and not latched.

## 事件 · Events

| 事件 Event | 中文 | English |
|---|---|---|
"""


def page() -> str:
    """The whole page in Markdown, Chinese and English."""
    events = "".join(
        f"| `{name}` | {_TRANSITIONS[name][0]} | {_TRANSITIONS[name][1]} |\n" for name in TRANSITIONS
    )
    return _OPENING + events + "".join(_section(part) for part in PARTS)


def _section(part: Part) -> str:
    name, *_ = _PARTS_ZH[part.name]
    lines = [
        "",
        f"## {name} · {part.name.replace('_', ' ')}",
        "",
        "| 现在 Now | 事件 Event | 之后 Then |",
        "|---|---|---|",
        *(
            f"| {_called(part, now)} | `{event}` {_TRANSITIONS[event][0]} | {_called(part, then)} |"
            for (now, event), then in part.table.items()
        ),
        "",
        *_refused(part),
        "```mermaid",
        "stateDiagram-v2",
        f'    state "{_called(part, False)}" as no',
        f'    state "{_called(part, True)}" as yes',
        *_arrows(part),
        "```",
    ]
    return "\n".join(lines) + "\n"


def _refused(part: Part) -> list[str]:
    """Events that this part does not allow from where it stands."""
    found = [
        f"`{event}`（{_called(part, now)}）"
        for event in TRANSITIONS
        for now in (False, True)
        if (now, event) not in part.table and (not now, event) in part.table
    ]
    return [f"不可能 Impossible: {'、'.join(found)}", ""] if found else []


def _arrows(part: Part) -> list[str]:
    arrows: dict[tuple[bool, bool], list[str]] = {}
    for (now, event), then in part.table.items():
        arrows.setdefault((now, then), []).append(event)
    names = {False: "no", True: "yes"}
    return [
        f"    {names[now]} --> {names[then]}: {', '.join(events)}" for (now, then), events in arrows.items()
    ]


def _called(part: Part, stands: bool) -> str:
    _, no, yes = _PARTS_ZH[part.name]
    return f"{yes} {part.yes}" if stands else f"{no} {part.no}"
