"""Limits crossed while the disk hangs: told and recorded as it is, found out where the siren waits for the disk."""

from __future__ import annotations

import asyncio

import pytest

from hil.scenarios import hung_disk
from hil.scenarios.hung_disk import DEVICES, POINTS, SHORT, _Told

pytestmark = [pytest.mark.root, pytest.mark.scenario]


def test_two_hundred_limits_are_crossed_while_the_disk_hangs():
    figures = asyncio.run(hung_disk.play(SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["siren_samples"] == 3 * figures["limits"] == 600
    assert figures["changes_told"] == figures["changes_recorded"] > 600
    assert figures["modbus_writes_seen"] == 0


def test_a_siren_that_waits_for_the_disk_is_found_out():
    figures = asyncio.run(hung_disk.play(SHORT, siren_on_the_disk=True))
    assert figures["verdict"] == "fail"
    assert figures["told_late"] > DEVICES * POINTS


def _change(tag, number, transition, at="2026-11-22T11:00:00.000Z"):
    return {
        "point_id": tag,
        "alarm_id": f"{tag}/high@1",
        "change_no": number,
        "transition": transition,
        "type": "limit",
        "t_changed": at,
    }


def _all():
    words = ("raise", "escalate", "clear")
    tags = [f"plc{n}.{i:02d}" for n in range(DEVICES) for i in range(POINTS)]
    return [_change(tag, 1 + k, word) for k, word in enumerate(words) for tag in tags]


def test_a_record_with_a_change_missing_twice_or_out_of_order_is_found_out():
    items = _all()
    told = [_Told(0, item) for item in items]
    assert hung_disk._record_problems(told, items, 1) == []
    assert hung_disk._record_problems(told, items[:-1], 1) != []
    assert any("twice" in one for one in hung_disk._record_problems(told, [*items, items[-1]], 1))
    turned = [items[1], items[0], *items[2:]]
    assert any("where the record says" in one for one in hung_disk._record_problems(told, turned, 1))
    earlier = [*items[:-1], {**items[-1], "t_changed": "2026-11-22T10:59:59.000Z"}]
    problems = hung_disk._record_problems([_Told(0, item) for item in earlier], earlier, 1)
    assert any("another order" in one for one in problems)
