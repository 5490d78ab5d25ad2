import numpy as np
import orjson
import pytest

from gateway.receive.store import StoredArrival
from hil.answers import AnswerLog
from hil.arrived import alarm_ms, count_answers
from hil.load import Load
from hil.modbus_plc import Unit


def registers(counter):
    return np.array([0, counter, 10, 20], dtype=">u2").tobytes()


def answered(n):
    log = AnswerLog()
    device = log.add_device("plc000")
    for counter in range(1, n + 1):
        log.append(device, counter, counter * 100, registers(counter))
    return log.answers()


def message(seq, counters, value=1.0, replay="live"):
    scans = [{"device": "plc000", "quality": "good", "value": [c, value, 2.0]} for c in counters]
    payload = orjson.dumps({"scans": scans, "replay": replay})
    return StoredArrival(seq, f"g/s/reading/{seq}", bytes([seq]), 0, "new", payload)


def figures(log, due=((0, 10_000),)):
    count = count_answers(log, answered(4), list(due))
    return count.lost, count.duplicates, count.out_of_order


@pytest.mark.parametrize(
    ("log", "found"),
    [
        ([message(1, [1, 2]), message(2, [3, 4])], (0, 0, 0)),
        ([message(1, [1, 2]), message(2, [4])], (1, 0, 0)),
        ([message(1, [1, 2]), message(2, [3, 4], value=1.1)], (2, 0, 0)),
        ([message(1, [1, 2]), message(2, [2, 3, 4])], (0, 1, 0)),
        ([message(2, [3, 4]), message(1, [1, 2])], (0, 0, 2)),
        ([message(2, [3, 4]), message(1, [1, 2], replay="backfill")], (0, 0, 0)),
    ],
)
def test_each_planted_fault_is_counted_and_nothing_else(log, found):
    assert figures(log) == found


def test_what_was_answered_outside_the_due_times_may_be_missing():
    assert figures([message(1, [2, 3])], due=[(200, 400)]) == (0, 0, 0)


def test_only_durable_alarms_are_timed_from_the_very_answer():
    load, log = Load(0, 2), AnswerLog()
    unit, device = Unit(load.name, 4), log.add_device(load.name)
    load.crossing = True
    while not load.returned:
        load.refresh(unit)
        unit.registers[1] += 1
        log.append(device, unit.counter, unit.counter * 1_000_000, bytes(unit.wire))

    def change(seq, active, durable, at_ns):
        item = {"point_id": load.tag, "type": "limit", "active": active, "alarm_id": "a", "value": 6000.0}
        payload = orjson.dumps({"durable": durable, "items": [item]})
        return StoredArrival(seq, f"g/s/alarm/{seq}", b"", at_ns, "new", payload)

    crossed_ns, returned_ns = load.crossed[0] * 1_000_000, load.returned[0] * 1_000_000
    offset_ns = 10**18
    seen = [
        change(1, active=True, durable=True, at_ns=offset_ns + crossed_ns + 3_000_000),
        change(2, active=False, durable=True, at_ns=offset_ns + returned_ns + 5_000_000),
        change(3, active=False, durable=False, at_ns=offset_ns + returned_ns + 9_000_000),
    ]
    assert alarm_ms(seen, log.answers(), [load], offset_ns) == [3.0, 5.0]
