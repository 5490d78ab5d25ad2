"""The judge of a day's record: quiet about a good one, loud about each fault planted in it."""

import numpy as np
import pytest

from buffer.record import Record, leaf_hash
from drivers.kit.quality import GOOD, Cause, Status, bad, quality
from drivers.kit.scan import Point, Scan
from gateway.alarm.limits import Limits
from gateway.codec import encode_item, encode_samples
from gateway.engine import Engine, WatchedDevice
from gateway.instant import UNSYNCHRONISED, Now
from gateway.plant import PointConfig
from hil.day_judge import DayJudge, Digest

DEVICES = (WatchedDevice("plc", (PointConfig(Point("T", "40001"), limits=Limits(h=80.0, deadband=2.0)),)),)
ONE = np.zeros(1, dtype=np.uint16)


def record(lane, body):
    return Record(lane, 1, 1, body, leaf_hash(body))


def reading(value, byte=GOOD):
    scan = Scan("plc", "rev", ONE, np.array([value]), np.array([byte], dtype=np.uint8), 1, 0)
    return record("reading", encode_samples([scan], UNSYNCHRONISED, "rev"))


def changes(*values):
    """The records of the changes that these values bring about."""
    engine = Engine(DEVICES, (), Now(0, 10**18))
    found = []
    for k, value in enumerate(values):
        scan = Scan("plc", "rev", ONE, np.array([value]), np.array([GOOD], dtype=np.uint8), 1, 0)
        found += engine.step([scan], Now(k * 10**9, 10**18 + k * 10**9)).changes
    return [record("alarm", encode_item("alarm", one.item("rev"), UNSYNCHRONISED, "rev")) for one in found]


RAISED, CLEARED = changes(85.0, 50.0)


def judged(*records):
    judge = DayJudge(DEVICES, ["T"])
    judge.take(records)
    return judge


def test_a_good_record_is_counted_and_nothing_complained_of():
    judge = judged(reading(85.0), RAISED, reading(50.0), CLEARED)
    assert judge.problems == []
    assert judge.transitions == {"raise": 1, "clear": 1}
    assert judge.types == {"limit": 1}
    assert judge.readings == 2
    assert judge.changes.count == judge.leaves.count == 2
    assert [item["transition"] for item in judge.kept] == ["raise", "clear"]


@pytest.mark.parametrize(
    "records",
    [
        pytest.param([reading(85.0), reading(50.0), CLEARED], id="a raise is missing"),
        pytest.param([reading(85.0), RAISED, RAISED], id="a change is there twice"),
        pytest.param([reading(85.0), RAISED, CLEARED], id="cleared while it was violated"),
        pytest.param([reading(85.0), RAISED, reading(79.0), CLEARED], id="cleared within the deadband"),
        pytest.param(
            [reading(85.0), RAISED, reading(np.nan, bad(Cause.COMM)), CLEARED], id="cleared by a bad value"
        ),
        pytest.param(
            [reading(85.0), RAISED, reading(50.0, quality(Status.UNCERTAIN)), CLEARED],
            id="cleared by an uncertain value",
        ),
    ],
)
def test_a_planted_fault_is_found(records):
    assert len(judged(*records).problems) == 1


def test_a_digest_tells_order_and_borders():
    words = []
    for texts in (["a", "b"], ["b", "a"], ["ab"], ["a", "b"]):
        digest = Digest()
        for text in texts:
            digest.add(text)
        words.append(digest.word)
    assert words[0] == words[3]
    assert len({*words}) == 3
