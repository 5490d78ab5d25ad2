"""Silence and lamp test on real outputs; and the whole house with a horn, a lamp and a GPIO line that is not there."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
import time

import pytest

from buffer import packing
from gateway import app
from gateway import config as configuration
from gateway.alarm.annunciator import MAX_LAMP_TEST_S
from gateway.app import House
from gateway.codec import decode
from gateway.control import Peer, ask
from gateway.desk.sirens import deeds
from gateway.errors import Exit, UserFacingError
from gateway.instant import Now
from gateway.plant import OutputConfig
from gateway.sirens import Sirens
from hil.answers import AnswerLog
from hil.configuration import write_configuration
from hil.modbus_plc import ModbusPlc, Unit

WANG = Peer("wang", "operator")


@pytest.fixture
def desk(tmp_path):
    made = []

    def make(*configs):
        entries = []
        sirens = Sirens(configs, "rev")
        made.append(sirens)
        return deeds(sirens, entries.append, lambda: Now(0, 0)), entries

    yield make
    assert [sirens.close() for sirens in made] == [[]] * len(made)


def horn(tmp_path):
    return OutputConfig("horn", "file", path=tmp_path / "horn", signal="horn")


def test_an_operator_may_and_a_viewer_may_not(desk, tmp_path):
    offered, _ = desk(horn(tmp_path))
    assert {op: deed.role for op, deed in offered.items()} == {"silence": "operator", "lamp_test": "operator"}


def test_both_are_on_record_with_who_did_it(desk, tmp_path):
    offered, entries = desk(horn(tmp_path))
    assert offered["lamp_test"].do({"for_s": 5}, WANG) == {
        "outputs": ["horn"],
        "until": "1970-01-01T00:00:05.000Z",
    }
    assert offered["silence"].do({}, WANG) == {"outputs": ["horn"], "count": 0, "alarms": []}
    assert [(entry.kind, entry.item["action"], entry.item["by"]) for entry in entries] == [
        ("operator_action", "lamp_test", "wang"),
        ("operator_action", "silence", "wang"),
    ]


@pytest.mark.parametrize("for_s", [0, -1, MAX_LAMP_TEST_S + 1, "5", None, True, float("nan")])
def test_a_lamp_test_has_a_bounded_time(desk, tmp_path, for_s):
    offered, entries = desk(horn(tmp_path))
    with pytest.raises(UserFacingError) as refused:
        offered["lamp_test"].do({"for_s": for_s}, WANG)
    assert refused.value.code == "E-NAME-SECONDS"
    assert entries == []


@pytest.mark.parametrize("op", ["silence", "lamp_test"])
def test_without_a_horn_or_lamp_it_says_so(desk, tmp_path, op):
    offered, entries = desk(OutputConfig("siren", "file", path=tmp_path / "siren"))
    with pytest.raises(UserFacingError) as refused:
        offered[op].do({"for_s": 5}, WANG)
    assert (refused.value.code, refused.value.exit_code) == ("E-REFUSED-SIRENS", Exit.REFUSED)
    assert entries == []


# --- the whole house --------------------------------------------------------------------------------------


ROWS = [
    {
        "tag": "LT-1",
        "device": "plc",
        "address": "40003",
        "h": 80,
        "hh": 90,
        "deadband": 2,
        "unit": "%",
        "priority": 1,
    }
]


def written(tmp_path, port):
    outputs = [
        {"name": "horn", "kind": "file", "path": tmp_path / "horn", "signal": "horn", "priorities": [1]},
        {"name": "lamp", "kind": "file", "path": tmp_path / "lamp", "signal": "lamp", "priorities": [1]},
        {"name": "relay", "kind": "gpio", "chip": "/dev/no-such-chip", "line": 17, "signal": "horn"},
    ]
    return write_configuration(
        tmp_path,
        [
            ("[site]", {"id": "site1"}),
            ("[gateway]", {"id": "gw1"}),
            ("[storage]", {"folder": tmp_path / "data"}),
            ("[runtime]", {"folder": tmp_path / "run"}),
            (
                "[[device]]",
                {"name": "plc", "driver": "modbus", "period_s": 0.2, "host": "127.0.0.1", "port": port},
            ),
            *(("[[output]]", output) for output in outputs),
        ],
        ROWS,
    )


async def asked(tmp_path, request):
    return await asyncio.to_thread(ask, tmp_path / "run" / "control.sock", request)


async def until(tmp_path, condition):
    """The status once it is so."""
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(UserFacingError):
            status = await asked(tmp_path, {"op": "status"})
            if condition(status):
                return status
        assert time.monotonic() < end, "did not happen"
        await asyncio.sleep(0.02)


def output(status, name):
    return next(one for one in status["outputs"] if one["name"] == name)


def states(tmp_path, name):
    return [json.loads(line)["on"] for line in (tmp_path / name).read_text().splitlines()]


@contextlib.asynccontextmanager
async def house(path):
    serving = asyncio.create_task(House(configuration.load(path)).serve())
    try:
        yield
    finally:
        serving.cancel()
        await asyncio.wait({serving})


def of(status, condition):
    return [alarm for alarm in status["alarms"] if alarm["condition"] == condition]


def test_horn_and_lamp_from_the_plc_to_the_output_and_back_after_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "BEAT_S", 0.05)

    async def story():
        (tmp_path / "data").mkdir()
        unit = Unit("plc", 10)
        async with ModbusPlc({1: unit}, AnswerLog()) as plc:
            path = written(tmp_path, plc.port)
            async with house(path):
                await until(tmp_path, lambda s: s["sources"][0]["good"] == 1)
                unit.registers[2] = 85
                status = await until(tmp_path, lambda s: output(s, "horn")["on"])
                assert output(status, "horn")["because"].startswith("LT-1/high@")
                silenced = await asked(tmp_path, {"op": "silence"})
                assert silenced["count"] >= 1
                status = await asked(tmp_path, {"op": "status"})
                assert not output(status, "horn")["on"]
                assert output(status, "horn")["silenced"] == 1
                assert output(status, "lamp")["on"]
                (high,) = of(status, "LT-1/high")
                assert not high["acknowledged"], "silence is not acknowledge"
                unit.registers[2] = 95
                await until(tmp_path, lambda s: output(s, "horn")["on"])

                # A chip that is not there: the output has failed, its alarm stands, all else goes on.
                status = await until(tmp_path, lambda s: of(s, "gateway/output/relay"))
                assert output(status, "relay")["state"] == "failed"
                assert "no such chip" in of(status, "gateway/output/relay")[0]["cause"]
                await asked(tmp_path, {"op": "silence"})
            async with house(path):
                status = await until(tmp_path, lambda s: output(s, "horn")["on"])
                (high,) = of(status, "LT-1/high")
                await asked(tmp_path, {"op": "ack", "alarm_id": high["alarm_id"]})
                status = await until(tmp_path, lambda s: not output(s, "horn")["on"])
                assert output(status, "lamp")["on"]
                await asked(tmp_path, {"op": "lamp_test", "for_s": 0.2})
                await until(tmp_path, lambda s: not output(s, "horn")["lamp_test"])

    asyncio.run(story())
    horn_states, lamp_states = states(tmp_path, "horn"), states(tmp_path, "lamp")
    assert horn_states[:5] == [False, True, False, True, False]
    assert horn_states[-2:] == [True, False], "the lamp test ended by itself"
    assert lamp_states[:2] == [False, True]
    unpack = packing.zstd().unpack
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "spool.db")) as spool:
        bodies = [unpack(*row) for row in spool.execute("SELECT body, size FROM journal ORDER BY seq")]
    actions = [
        item["action"]
        for message in map(decode, bodies)
        if message.kind == "operator_action"
        for item in [message.header["item"]]
    ]
    assert actions == ["silence", "silence", "ack", "lamp_test"]
