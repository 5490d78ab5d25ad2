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
    "priority": ("优先级",),
    "area": ("区域", "单元/区域"),
    "camera": ("摄像头", "关联摄像头"),
}
"""Column -> the headings it may stand under beside its own name, the usual one first."""

REQUIRED: Final = ("tag", "device", "address")
CODE_PREFIXES: Final = ("指标编码:", "code:")
LIMIT_COLUMNS: Final = ("ll", "l", "h", "hh")
REFERENCES: Final = ("status_point", "heartbeat_point", "decimals_point")
"""Columns that name another point by its tag."""

COLUMN_OF_HEADING: Final[Mapping[str, str]] = {
    heading: column for column, more in HEADINGS.items() for heading in (column, *more)
}
