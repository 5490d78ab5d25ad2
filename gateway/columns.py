"""The columns of the point table and every heading they may stand under. Decides names only, touches nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

HEADINGS: Final[dict[str, tuple[str, ...]]] = {
    "tag": ("位号", "点位"),
    "description": ("描述",),
    "device": ("设备",),
    "unit_id": ("站号", "从站号"),
    "address": ("地址", "寄存器地址", "nodeid", "opc-uanodeid", "opcuanodeid"),
    "type": ("数据类型",),
    "order": ("字节序",),
    "bit": ("位",),
    "length": ("长度", "寄存器数"),
    "scale": ("系数",),
    "offset": ("偏移",),
    "raw_lo": ("原始下限", "原始值下限"),
    "raw_hi": ("原始上限", "原始值上限"),
    "decimals_point": ("小数位点",),
    "unit": ("单位",),
    "range_lo": ("量程下限",),
    "range_hi": ("量程上限",),
    "fault_values": ("故障值",),
    "status_point": ("状态点",),
    "status_bits": ("状态位",),
    "heartbeat_point": ("心跳点",),
    "heartbeat_s": ("心跳时限", "心跳时限(s)", "心跳时限(秒)"),
    "frozen_s": ("冻结时限", "冻结时限(s)", "冻结时限(秒)"),
    "period_s": ("采集周期", "采集周期(s)", "采集周期(秒)", "采样周期", "扫描周期"),
    "sample_deadband": ("采集死区",),
    "ll": ("低低", "低低限"),
    "l": ("低", "低限"),
    "h": ("高", "高限"),
    "hh": ("高高", "高高限"),
    "alarm_on": ("报警状态",),
    "deadband": ("死区", "报警死区"),
    "on_delay_s": ("报警延时", "报警延时(s)", "报警延时(秒)"),
    "off_delay_s": ("恢复延时", "恢复延时(s)", "恢复延时(秒)"),
    "gas_delay_reason": ("气体延时理由",),
    "preset": ("预设",),
    "filed_ll": ("备案低低", "备案低低限"),
    "filed_l": ("备案低", "备案低限"),
    "filed_h": ("备案高", "备案高限"),
    "filed_hh": ("备案高高", "备案高高限"),
    "rise_per_min": ("上升速率限", "上升速率限(单位/分)"),
    "fall_per_min": ("下降速率限", "下降速率限(单位/分)"),
    "rate_window_s": ("速率窗口", "速率窗口(s)", "速率窗口(秒)"),
    "deviation": ("偏差限",),
    "deviation_from": ("偏差基准",),
    "deviation_deadband": ("偏差死区",),
    "latching": ("锁存",),
    "re_alarm_s": ("重报时间", "重报时间(s)", "重报时间(秒)"),
    "first_out": ("首出组",),
    "suppressed_by": ("抑制点",),
    "suppressed_on": ("抑制状态",),
    "forecast": ("趋势预测",),
    "priority": ("优先级",),
    "area": ("区域", "单元/区域"),
    "camera": ("摄像头", "关联摄像头"),
}
"""Column -> the headings it may stand under beside its own name, the usual one first."""

REQUIRED: Final = ("tag", "device", "address")
CODE_PREFIXES: Final = ("指标编码:", "code:")
LIMIT_COLUMNS: Final = ("ll", "l", "h", "hh")
FILED_COLUMNS: Final = ("filed_ll", "filed_l", "filed_h", "filed_hh")
REFERENCES: Final = ("status_point", "heartbeat_point", "decimals_point")
"""Columns that name another point of the same device by its tag."""

COLUMN_OF_HEADING: Final[Mapping[str, str]] = {
    heading: column for column, more in HEADINGS.items() for heading in (column, *more)
}
