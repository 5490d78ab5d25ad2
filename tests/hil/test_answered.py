"""What the simulators said: scaled as the point table says, and nothing excused that was not named."""

import struct
from types import SimpleNamespace

import numpy as np

from hil.answered import answered
from hil.answers import AnswerLog
from hil.judge import Reading
from hil.opcua_plc import Change
from hil.site_plan import ModbusDevice, OpcuaDevice, SitePlan

ROWS = [
    {"tag": "LT", "address": "40003", "scale": 0.1, "offset": -5.0},
    {"tag": "WIDE", "address": "40003", "type": "uint32"},
]


def site(at_ns, *, cut_ns=0, sent=()):
    log = AnswerLog()
    log.add_device("plc1")
    for counter, ns in enumerate(at_ns, start=1):
        log.append(0, counter, ns, struct.pack(">IHH", counter, 100 * counter, 0))
    opcua = OpcuaDevice("plc2", [{"tag": "GT-201", "address": "G1"}], ["G1"], [])
    return SimpleNamespace(
        answers=log,
        cut_ns=cut_ns,
        plan=SitePlan(modbus=[ModbusDevice("plc1", ROWS, 4)], opcua=opcua),
        opcua=SimpleNamespace(sent=[change for change, _ in sent], sent_mono_ns=[ns for _, ns in sent]),
    )


def test_values_are_scaled_as_the_point_table_says():
    said = answered(site([10, 20]))
    assert said.due[Reading("LT", 1)] == 5.0
    assert said.due[Reading("LT", 2)] == 15.0
    assert said.due[Reading("plc1.count", 2)] == 2
    assert np.isnan(said.due[Reading("WIDE", 1)]), "no plain uint16: there, but not compared"
    assert said.trails["LT"].values.tolist() == [5.0, 15.0]


def test_only_what_lies_behind_the_cut_or_in_a_window_is_excused():
    said = answered(site([10, 20, 30, 40], cut_ns=30), windows=[(15, 20)])
    assert sorted(reading.stamp for reading in said.due if reading.point == "LT") == [1, 3]
    assert sorted(reading.stamp for reading in said.excused if reading.point == "LT") == [2, 4]


def test_a_server_that_says_a_value_again_is_counted_and_bad_values_are_not_due():
    change = Change("G1", 5_000_000, 2.5)
    said = answered(site([], sent=[(change, 1), (change, 2), (Change("G1", 9_000_000, None), 3)]))
    assert said.due == {Reading("GT-201", 5): 2.5}
    assert said.said_again[Reading("GT-201", 5)] == 1


def test_nodes_outside_the_point_table_are_not_due():
    assert answered(site([], sent=[(Change("alive", 5_000_000, 1), 1)])).due == {}
