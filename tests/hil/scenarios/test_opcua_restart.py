"""A killed OPC UA server: what is counted passes as it is; a record that loses, doubles or invents is found out."""

import asyncio
import time
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from hil.answered import utc_ns
from hil.opcua_process import Sent, item_name
from hil.scenarios import opcua_restart
from hil.scenarios.opcua_restart import Away, Told


@pytest.mark.scenario
def test_every_item_comes_back_once():
    figures = asyncio.run(opcua_restart.measure(opcua_restart.SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["recorded"] >= figures["values"] > 2 * figures["items"]
    assert figures["kills"] == len(figures["away_s"]) == 1
    assert figures["opcua_write_services_seen"] == 0


ITEMS, KILLED, BACK, END = 3, 5, 10, 15
"""Items, and seconds of the planted story."""
SECOND = 1_000_000_000


class Planted:
    """A perfect run with a value of every item a second, which a test then spoils."""

    def __init__(self):
        self.zero_ns = time.monotonic_ns() - 60 * SECOND
        seconds = [second for second in range(END) if not KILLED <= second < BACK]
        item = np.tile(np.arange(ITEMS), len(seconds))
        mono_ns = np.repeat([self.zero_ns + second * SECOND for second in seconds], ITEMS)
        source_ns = (utc_ns(0) + mono_ns) // 1000 * 1000
        value = np.arange(len(item), dtype=np.float64)
        self.sent = Sent(item.astype(np.int32), source_ns, mono_ns, value)
        self.away = Away(
            utc_ns(self.zero_ns + int((KILLED - 0.5) * SECOND)),
            utc_ns(self.zero_ns + int((BACK - 0.5) * SECOND)),
        )
        self.told = Told(
            item=np.append(item, range(ITEMS)),
            source_ns=np.append(source_ns, [0] * ITEMS),
            taken_ns=np.append(source_ns, [self.away.killed_ns + 1] * ITEMS),
            value=np.append(value, [np.nan] * ITEMS),
            quality=np.append(np.full(len(item), GOOD), [bad(Cause.COMM)] * ITEMS).astype(np.uint8),
        )
        stamps = zip(item.tolist(), (source_ns // 1_000_000).tolist(), strict=True)
        self.arrived = Counter((item_name(i), ms) for i, ms in stamps)

    def spoil(self, row, **columns):
        for name, value in columns.items():
            column = getattr(self.told, name).copy()
            column[row] = value
            self.told = replace(self.told, **{name: column})

    def figures(self):
        return opcua_restart.judge(
            self.told, self.arrived, self.sent, time.monotonic_ns(), ITEMS, [self.away]
        )


def test_a_perfect_record_passes():
    figures = Planted().figures()
    assert figures["problems"] == []
    assert figures["values"] == figures["recorded"] == ITEMS * (END - BACK + KILLED)
    assert figures["back_s_max"] == 0.5


def test_a_value_recorded_twice_is_found_out_though_the_server_said_it_twice():
    planted = Planted()
    planted.sent = Sent(*(np.append(column, column[4]) for column in planted.sent))
    told = planted.told
    columns = {name: np.append(getattr(told, name), getattr(told, name)[4]) for name in Told.__slots__}
    planted.told = Told(**columns)
    figures = planted.figures()
    assert figures["doubled"] == figures["asked_twice"] == 1
    assert figures["verdict"] == "fail"


def test_a_value_that_arrived_twice_or_never_is_found_out():
    planted = Planted()
    first, second = list(planted.arrived)[:2]
    planted.arrived[first] += 1
    del planted.arrived[second]
    figures = planted.figures()
    assert (figures["doubled_at_receiver"], figures["lost_at_receiver"]) == (1, 1)
    assert figures["verdict"] == "fail"


def test_a_lost_an_altered_and_an_unknown_value_are_found_out():
    planted = Planted()
    planted.spoil(0, quality=bad(Cause.COMM), value=np.nan)
    planted.spoil(1, value=-1.0)
    planted.spoil(2, source_ns=planted.told.source_ns[2] + 1000)
    figures = planted.figures()
    assert (figures["lost"], figures["altered"], figures["unknown"]) == (2, 1, 1)
    assert figures["verdict"] == "fail"


def test_an_item_that_stays_away_is_found_out():
    planted = Planted()
    after = planted.told.taken_ns > planted.away.listening_ns
    planted.spoil(after & (planted.told.item == 2), quality=bad(Cause.COMM))
    figures = planted.figures()
    assert "items that did not come back: [1]" in figures["problems"]


def test_a_loss_nobody_names_and_a_value_from_a_dead_server_are_found_out():
    planted = Planted()
    planted.spoil(-1, quality=bad(Cause.GARBLED))
    planted.spoil(0, taken_ns=planted.away.listening_ns - 1)
    figures = planted.figures()
    assert (figures["unnamed"], figures["false_good"]) == (1, 1)
    assert figures["verdict"] == "fail"
