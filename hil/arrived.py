"""What of the speed bench's load arrived, and how fast its alarms were. Compares two logs, opens nothing.

Judges whole answers and not values one by one: a hundred values came with each answer counter, so they arrive
together and unchanged, or the answer counts as lost.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import orjson

from gateway.receive.store import StoredArrival
from hil.answers import Answers
from hil.judge import Arrival, Count, Reading, judge
from hil.load import SCALE, Load, crossing_of
from hil.modbus_plc import COUNTER_REGISTERS

NOTHING: Final = Reading("", 0)
"""No answer has this name."""


def lane_of(one: StoredArrival) -> str:
    """The lane its key names, "" where it was no message."""
    return one.key.split("/")[2] if one.key else ""


def count_answers(log: list[StoredArrival], answers: Answers, due: list[tuple[int, int]]) -> Count:
    """Judge the due answers; one reading is a whole answer, which arrives unchanged or not at all.

    Args:
        log: what arrived, first arrivals only.
        answers: what the PLCs answered.
        due: times (CLOCK_MONOTONIC) in which every answer must have arrived.
    """
    said = {
        Reading(answers.names[device], counter): registers
        for device, counter, registers in zip(
            answers.device.tolist(), answers.counter.tolist(), answers.registers, strict=True
        )
    }
    wanted = {
        Reading(answers.names[device], counter)
        for device, counter, at_ns in zip(
            answers.device.tolist(), answers.counter.tolist(), answers.monotonic_ns.tolist(), strict=True
        )
        if any(from_ns <= at_ns < to_ns for from_ns, to_ns in due)
    }
    seen = []
    for one in log:
        if lane_of(one) == "reading":
            envelope = orjson.loads(one.payload)
            readings = [reading for scan in envelope["scans"] if (reading := _whole(scan, said)) in wanted]
            seen.append(Arrival(one.key, one.sha256, envelope["replay"] == "backfill", readings))
    return judge(wanted, seen)


def _whole(scan: dict[str, Any], said: dict[Reading, bytes]) -> Reading:
    """The answer a scan is, ``NOTHING`` where it is not one, whole and unchanged."""
    values = np.array(scan["value"], dtype=np.float64)
    if scan["quality"] != "good" or np.isnan(values).any():
        return NOTHING
    reading = Reading(scan["device"], int(values[0]))
    registers = np.frombuffer(said.get(reading, b""), ">u2")[COUNTER_REGISTERS:]
    return reading if np.array_equal(np.rint(values[1:] / SCALE), registers) else NOTHING


def alarm_ms(log: list[StoredArrival], answers: Answers, loads: list[Load], offset_ns: int) -> list[float]:
    """From the answer that crossed a limit, or came back, to the arrival: milliseconds of each durable change.

    Args:
        log: what arrived, first arrivals only.
        answers: what the PLCs answered.
        loads: who crossed limits.
        offset_ns: UTC less CLOCK_MONOTONIC.
    """
    at_ns = dict(
        zip(
            zip(answers.device.tolist(), answers.counter.tolist(), strict=True),
            answers.monotonic_ns.tolist(),
            strict=True,
        )
    )
    of_tag = {load.tag: (answers.names.index(load.name), load) for load in loads}
    crossing: dict[str, int] = {}
    samples = []
    for one in log:
        envelope = orjson.loads(one.payload) if lane_of(one) == "alarm" else {"items": []}
        for item in envelope["items"]:
            known = of_tag.get(item["point_id"])
            if known is None or item["type"] != "limit" or envelope["durable"] is not True:
                continue
            device, load = known
            if item["active"]:
                crossing[item["alarm_id"]] = crossing_of(item["value"])
            steps = load.crossed if item["active"] else load.returned
            answer_ns = at_ns[device, steps[crossing[item["alarm_id"]]]]
            samples.append((one.received_ns - offset_ns - answer_ns) / 1e6)
    return samples
