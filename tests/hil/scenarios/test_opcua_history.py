"""The line to an OPC UA server is cut: what it measured meanwhile is in the record, once; else this fails."""

import asyncio

import pytest

from hil.scenarios import opcua_history, opcua_restart
from hil.scenarios.opcua_history import SHORT, SHORT_AGAIN

pytestmark = pytest.mark.scenario


def test_nothing_measured_behind_the_cut_line_is_lost():
    figures = asyncio.run(opcua_history.measure(SHORT))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["from_history"] >= 4 * SHORT.items
    assert figures["continued"] >= SHORT.items
    assert figures["unmarked"] == figures["lost"] == figures["doubled"] == 0


def test_nothing_is_lost_where_the_line_is_cut_again_while_the_history_is_being_read():
    figures = asyncio.run(opcua_history.measure(SHORT_AGAIN))
    assert figures["problems"] == []
    assert figures["verdict"] == "pass"
    assert figures["kills"] == 1 + len(SHORT_AGAIN.again_s)
    assert figures["from_history"] >= 9 * SHORT_AGAIN.items
    assert figures["unmarked"] == figures["lost"] == figures["doubled"] == 0


def test_a_gateway_that_asks_no_history_is_found_out(monkeypatch):
    plain = opcua_restart.device_table

    def without(*names):
        return {**plain(*names), "history": False}

    monkeypatch.setattr(opcua_history, "device_table", without)
    figures = asyncio.run(opcua_history.measure(SHORT))
    assert figures["verdict"] == "fail"
    assert "nothing was read from the history" in figures["problems"]
    assert figures["lost"] >= 3 * SHORT.items
