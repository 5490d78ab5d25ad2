"""The whole house in this process: a real PLC on a real socket, a real spool, a real control socket."""

import asyncio
import json
import sqlite3
from contextlib import asynccontextmanager, closing
from dataclasses import replace

import pytest

from gateway import app
from gateway import config as configuration
from gateway.app import House
from gateway.control import ask
from gateway.errors import Exit, UserFacingError
from hil.answers import AnswerLog
from hil.configuration import write_configuration
from hil.modbus_plc import ModbusPlc, Unit
from hil.pki import Authority

ROWS = [{"tag": "LT-1", "device": "plc", "address": "40003", "h": 80, "hh": 90, "deadband": 2, "unit": "%"}]


def written(tmp_path, port, rows=ROWS, *more):
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
            ("[[output]]", {"name": "siren", "kind": "file", "path": tmp_path / "siren"}),
            *more,
        ],
        rows,
    )


@asynccontextmanager
async def running(path):
    house = House(configuration.load(path))
    serving = asyncio.create_task(house.serve())
    try:
        yield house, serving
    finally:
        serving.cancel()
        await asyncio.wait({serving})
        assert house.hanging == []
        assert serving.cancelled() or serving.exception() is not None


async def asked(tmp_path, request, until=lambda data: True):
    async with asyncio.timeout(30):
        while True:
            try:
                data = await asyncio.to_thread(ask, tmp_path / "run" / "control.sock", request)
            except UserFacingError as e:
                if not e.code.startswith("E-CONTROL"):
                    raise
            else:
                if until(data):
                    return data
            await asyncio.sleep(0.02)


def raised(data):
    return any(alarm["condition"] == "LT-1/high" for alarm in data["alarms"])


def test_an_alarm_survives_a_restart_and_is_acknowledged_over_the_control_socket(tmp_path):
    async def story():
        (tmp_path / "data").mkdir()
        unit = Unit("plc", 10)
        async with ModbusPlc({1: unit}, AnswerLog()) as plc:
            path = written(tmp_path, plc.port)
            unit.registers[2] = 85
            async with running(path):
                before = await asked(tmp_path, {"op": "status"}, raised)
            async with running(path) as (house, _):
                after = await asked(
                    tmp_path, {"op": "status", "points": True}, lambda d: d["points"][0]["taken_at"]
                )
                (alarm,) = [a for a in after["alarms"] if a["condition"] == "LT-1/high"]
                assert alarm["alarm_id"] == next(
                    a["alarm_id"] for a in before["alarms"] if a["condition"] == "LT-1/high"
                )
                assert after["points"][0]["level"] == "H"
                await asked(tmp_path, {"op": "ack", "alarm_id": alarm["alarm_id"], "note": "已到场"})
                (alarm,) = [
                    a
                    for a in (await asked(tmp_path, {"op": "status"}))["alarms"]
                    if a["condition"] == "LT-1/high"
                ]
                assert alarm["acknowledged"]
                assert alarm["active"]
                assert alarm["ack"]["note"] == "已到场"
                with pytest.raises(UserFacingError) as refused:
                    await asked(tmp_path, {"op": "ack", "alarm_id": "nobody@1", "note": ""})
                assert refused.value.code == "E-NAME-ALARM"
                assert house.status(points=False)["spool"]["heads"]["journal"] >= 3
            assert (tmp_path / "siren").read_text().count('"transition":"raise"') == 1

    asyncio.run(story())


def test_a_recipient_that_was_silent_is_not_called_well_by_a_restart(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "RECIPIENT_SILENT_S", 0.2)

    def silent(data):
        return [a for a in data["alarms"] if a["condition"] == "gateway/recipient/province"]

    async def story():
        (tmp_path / "data").mkdir()
        authority = Authority(tmp_path / "pki")
        own = authority.client("gw1")
        away = {"name": "province", "host": "localhost", "port": 1, "ca": authority.ca_file}
        away |= {"certificate": own.certificate, "private_key": own.key}
        async with ModbusPlc({1: Unit("plc", 10)}, AnswerLog()) as plc:
            path = written(tmp_path, plc.port, ROWS, ("[[recipient]]", away))
            async with running(path):
                (before,) = silent(await asked(tmp_path, {"op": "status"}, silent))
            monkeypatch.setattr(app, "RECIPIENT_SILENT_S", 60.0)
            async with running(path):
                began = await asked(tmp_path, {"op": "status"}, lambda d: d["uptime_s"] > 2.5)
        (after,) = silent(began)
        assert (after["alarm_id"], after["active"]) == (before["alarm_id"], True)

    asyncio.run(story())


def test_a_spool_of_a_newer_version_is_refused_and_untouched(tmp_path):
    async def story():
        (tmp_path / "data").mkdir()
        path = written(tmp_path, 1)
        async with running(path):
            await asked(tmp_path, {"op": "status"})
        with closing(sqlite3.connect(tmp_path / "data" / "spool.db")) as spool:
            spool.execute("PRAGMA user_version = 999")
        async with running(path) as (_, serving):
            await asyncio.wait({serving}, timeout=30)
        trouble = serving.exception()
        assert isinstance(trouble, UserFacingError)
        assert (trouble.code, trouble.exit_code) == ("E-SPOOL-NEWER", Exit.INTEGRITY)

    asyncio.run(story())


def test_a_second_gateway_on_the_same_record_is_refused(tmp_path):
    async def story():
        (tmp_path / "data").mkdir()
        path = written(tmp_path, 1)
        async with running(path):
            await asked(tmp_path, {"op": "status"})
            async with running(path) as (_, second):
                await asyncio.wait({second}, timeout=30)
            trouble = second.exception()
            assert isinstance(trouble, UserFacingError)
            assert trouble.exit_code == Exit.ENVIRONMENT
            assert (await asked(tmp_path, {"op": "status"}))["gateway_id"] == "gw1"

    asyncio.run(story())


def test_a_polling_driver_that_falls_silent_itself_is_an_alarm(tmp_path, monkeypatch):
    from gateway import intake, silence

    monkeypatch.setattr(silence, "STALE_MARGIN_S", 0.2)

    async def story():
        (tmp_path / "data").mkdir()
        async with (
            ModbusPlc({1: Unit("plc", 10)}, AnswerLog()) as plc,
            running(written(tmp_path, plc.port)),
        ):
            await asked(tmp_path, {"op": "status", "points": True}, lambda d: d["points"][0]["taken_at"])
            monkeypatch.setattr(intake, "MAX_INBOX", 0)  # nothing it posts arrives any more
            await asked(
                tmp_path, {"op": "status"}, lambda d: any(a["condition"] == "plc/comm" for a in d["alarms"])
            )

    asyncio.run(story())


def test_a_line_without_security_is_a_standing_alarm_until_it_is_gone(tmp_path, monkeypatch):
    from gateway import app

    monkeypatch.setattr(app, "BEAT_S", 0.05)

    async def story():
        (tmp_path / "data").mkdir()
        sections = [
            ("[site]", {"id": "site1"}),
            ("[gateway]", {"id": "gw1"}),
            ("[storage]", {"folder": tmp_path / "data"}),
            ("[runtime]", {"folder": tmp_path / "run"}),
            (
                "[[device]]",
                {"name": "gds", "driver": "opcua", "url": "opc.tcp://127.0.0.1:9", "insecure": True},
            ),
        ]
        path = write_configuration(
            tmp_path, sections, [{"tag": "GT-1", "device": "gds", "address": "ns=2;s=GT-1"}]
        )
        async with running(path) as (house, _):
            status = await asked(tmp_path, {"op": "status"}, lambda d: _warned(d, active=True))
            (alarm,) = [a for a in status["alarms"] if a["condition"] == "gateway/source-warning/gds"]
            (source,) = status["sources"]
            assert alarm["cause"] == source["warning"] != ""
            source = house._sources["gds"]
            state = source.state()
            monkeypatch.setattr(type(source), "state", lambda self: replace(state, warning=""))
            await asked(tmp_path, {"op": "status"}, lambda d: _warned(d, active=False))

    asyncio.run(story())


def _warned(data, *, active):
    return any(a["source"] == "source-warning/gds" and a["active"] == active for a in data["alarms"])


def test_a_plc_of_two_scan_groups_goes_and_comes_back_with_one_change_each(tmp_path):
    """1,000 points, two periods, several blocks: what sounds is one line down and one line up."""
    rows = [
        {"tag": f"P-{k}", "device": "plc", "address": 40003 + k, "period_s": 0.6 if k % 2 else None}
        for k in range(1000)
    ]

    async def story():
        (tmp_path / "data").mkdir()
        async with ModbusPlc({1: Unit("plc", 1002)}, AnswerLog()) as plc:
            path = written(tmp_path, plc.port, rows)
            async with running(path):
                await asked(tmp_path, {"op": "status"}, lambda d: d["sources"][0]["good"] == 1000)
                await plc.refuse()
                await asked(tmp_path, {"op": "status"}, lambda d: d["sources"][0]["bad"] == 1000)
                await plc.accept()
                await asked(tmp_path, {"op": "status"}, lambda d: d["sources"][0]["good"] == 1000)
                await asked(tmp_path, {"op": "status"}, lambda d: not any(a["active"] for a in d["alarms"]))
        changes = [json.loads(line) for line in (tmp_path / "siren").read_text().splitlines()]
        assert [(c["transition"], c["condition"], c["points"]) for c in changes] == [
            ("raise", "plc/comm", 1000),
            ("clear", "plc/comm", 1000),
        ]

    asyncio.run(story())


def test_devices_without_points_are_idle_whatever_their_driver(tmp_path):
    idle = {
        "tcp": {"driver": "modbus", "host": "127.0.0.1", "port": 9},
        "bus": {"driver": "modbus", "transport": "rtu", "serial": "/dev/ttyNone"},
        "ear": {"driver": "modbus", "transport": "listen", "serial": "/dev/ttyNobody"},
        "gds": {"driver": "opcua", "url": "opc.tcp://127.0.0.1:9", "insecure": True},
        "box": {"driver": "host"},
    }

    async def story():
        (tmp_path / "data").mkdir()
        async with ModbusPlc({1: Unit("plc", 10)}, AnswerLog()) as plc:
            path = written(tmp_path, plc.port)
            tables = [f'[[device]]\nname = "{name}"\n' for name in idle]
            tables = [
                table + "".join(f"{key} = {json.dumps(value)}\n" for key, value in keys.items())
                for table, keys in zip(tables, idle.values(), strict=True)
            ]
            text = path.read_text("utf-8")
            path.write_text("\n".join([*tables, text]), "utf-8")
            async with running(path) as (_, serving):
                status = await asked(
                    tmp_path, {"op": "status"}, lambda d: any(source["good"] for source in d["sources"])
                )
                assert not serving.done()
        sources = {source["name"]: source for source in status["sources"]}
        for name in idle:
            source = sources[name]
            assert (source["connected"], source["since"], source["points"]) == (False, None, 0)
            assert "no points" in source["detail"]
        assert status["alarms"] == []

    asyncio.run(story())


def test_a_broken_evaluation_takes_the_house_down(tmp_path, monkeypatch):
    async def story():
        (tmp_path / "data").mkdir()
        path = written(tmp_path, 1)
        async with running(path) as (house, serving):
            await asked(tmp_path, {"op": "status"})

            def broken(scans, now):
                raise ZeroDivisionError

            monkeypatch.setattr(house._intake.engine, "step", broken)
            await asyncio.wait({serving}, timeout=30)
            assert isinstance(serving.exception(), RuntimeError)

    asyncio.run(story())
