"""The demo's verdict in words, for a manager who was not there. Pure: figures in, Chinese or English out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

Figures: TypeAlias = dict[str, Any]

_TITLES: Final = {"province": ("省平台", "Province"), "bureau": ("区局", "Bureau")}


def verdict_text(figures: Figures, outage_s: float, caught_up_s: float | None, language: str) -> str:
    """What happened, whether both authorities got everything, and how fast.

    Args:
        figures: the JSON verdict.
        outage_s: how long the province's broker was away.
        caught_up_s: how long the province then needed to catch up; None while it has not.
        language: ``zh`` or ``en``.
    """
    zh = language == "zh"
    if figures["verdict"] == "pass":
        lines = ["结论：通过" if zh else "Verdict: pass"]
    else:
        lines = ["结论：未通过" if zh else "Verdict: FAIL"]
    lines += [f"  ! {problem}" for problem in figures["problems"]]
    lines += _delivered(figures, zh=zh)
    if caught_up_s is not None:
        lines.append(
            f"省平台断开 {outage_s:.0f} 秒，区里不受影响；恢复后 {caught_up_s:.1f} 秒内补齐。"
            if zh
            else f"The province was away for {outage_s:.0f} s, the bureau did not notice; "
            f"it had caught up {caught_up_s:.1f} s after its return."
        )
    lines += _alarms(figures, zh=zh)
    lines += _shown(figures, zh=zh)
    writes = figures["modbus_writes_seen"] + figures["opcua_write_services_seen"]
    lines.append(f"发给 PLC 的写请求：{writes}。" if zh else f"Write requests to any PLC: {writes}.")
    return "\n".join(lines)


def _delivered(figures: Figures, *, zh: bool) -> Iterator[str]:
    read, recorded = figures["values_read"], figures["values_recorded"]
    yield (
        f"读到 {read} 个数值，{recorded} 个已写入本地持久记录。"
        if zh
        else f"{read} values were read; {recorded} of them stand in the durable record."
    )
    for name, one in figures["recipients"].items():
        title = _title(name, zh=zh)
        yield (
            f"{title}：已确认 {one['acknowledged']} 个数值，丢失 {one['lost']}，重复 {one['duplicates']}，"
            f"乱序 {one['out_of_order']}，未送 {one['backlog']}。"
            if zh
            else f"{title}: {one['acknowledged']} values acknowledged, {one['lost']} lost, "
            f"{one['duplicates']} duplicated, {one['out_of_order']} out of order, {one['backlog']} waiting."
        )


def _alarms(figures: Figures, *, zh: bool) -> Iterator[str]:
    alarms, p50, p99 = figures["alarms"], figures["alarm_ms_p50"], figures["alarm_ms_p99"]
    yield (
        f"报警：产生 {alarms['raised']} 条，恢复 {alarms['cleared']} 条，抓拍 {figures['snapshots']} 张。"
        if zh
        else f"Alarms: {alarms['raised']} raised, {alarms['cleared']} cleared, {figures['snapshots']} pictures."
    )
    if p50 is not None:
        n = figures["alarm_samples"]
        yield (
            f"从 PLC 应答越限到对方收到报警：中位 {p50:.0f} 毫秒，99 分位 {p99:.0f} 毫秒（仅 {n} 次）。"
            if zh
            else f"From the PLC's answer beyond the limit to the alarm's arrival: median {p50:.0f} ms, "
            f"99th percentile {p99:.0f} ms (of {n} only)."
        )


def _shown(figures: Figures, *, zh: bool) -> Iterator[str]:
    """A line for each of the four; one that was not seen says so and claims nothing."""
    for name, (called_zh, called_en, tell) in _PARTS.items():
        one = figures[name]
        if one["seen"]:
            yield tell(one, zh=zh)
        else:
            yield f"{called_zh}：未得到证实。" if zh else f"{called_en}: not proven."


def _escalation(one: Figures, *, zh: bool) -> str:
    path = "→".join({"H": "高", "HH": "高高", "clear": "消除"}.get(level, level) for level in one["levels"])
    if zh:
        return (
            f"原位升级：{one['tag']} 的 {path} 是同一条报警记录，变更 {one['changes']} 次，"
            f"附抓拍 {one['snapshots']} 张，双方收到的相同。"
        )
    return (
        f"Escalation in place: {', '.join(one['levels'])} of {one['tag']} are one record of {one['changes']} "
        f"changes with {one['snapshots']} pictures, the same at both."
    )


def _lost_plc(one: Figures, *, zh: bool) -> str:
    if zh:
        return (
            f"PLC 失联：{one['tag']} 的报警一直保留，标为“最后已知”，旁边是通信中断报警；"
            f"恢复后由正常值 {one['cleared_by']:.1f} 消除。"
        )
    return (
        f"PLC lost: the alarm of {one['tag']} stood, marked as last known, beside that of the lost communication; "
        f"the good value {one['cleared_by']:.1f} cleared it afterwards."
    )


def _shelf(one: Figures, *, zh: bool) -> str:
    if zh:
        return f"搁置：{one['by']} 搁置 {one['tag']}，报警不响，但已记录、已上报并标明；到期自动结束，仍在报警即响。"
    return (
        f"Shelf: {one['by']} shelved {one['tag']}; its alarm did not sound but is on record and with both, marked; "
        "the shelf ended by itself, and what still stood then sounded."
    )


def _warning(one: Figures, *, zh: bool) -> str:
    at = [_title(name, zh=zh) for name in one["feedback_at"]]
    if zh:
        return (
            f"上级预警：{one['id']} 显示在报警旁，{one['waited_s']} 秒后由 {one['by']} 反馈，"
            f"反馈已到{'、'.join(at)}。"
        )
    return (
        f"Warning from above: {one['id']} stood beside the alarms; {one['by']} answered after "
        f"{one['waited_s']} s, and the feedback is at: {', '.join(at)}."
    )


_PARTS: Final = {
    "escalation": ("原位升级", "Escalation in place", _escalation),
    "lost_plc": ("PLC 失联", "PLC lost", _lost_plc),
    "shelf": ("搁置", "Shelf", _shelf),
    "warning": ("上级预警", "Warning from above", _warning),
}


def _title(name: str, *, zh: bool) -> str:
    return _TITLES.get(name, (name, name))[0 if zh else 1]
