"""The README says how one reading travels; this traces a real one, from the PLC to the bureau's receipt."""

import asyncio
import re
import sys
import threading
from pathlib import Path

from gateway import config as configuration
from gateway.app import House
from gateway.receive.service import Receiver, ReceiverSettings
from hil.answers import AnswerLog
from hil.broker import Broker
from hil.configuration import write_configuration
from hil.modbus_plc import ModbusPlc, Unit

ROOT = Path(__file__).parents[2]
ROOMS = {"gateway", "drivers", "buffer"}
HEADINGS = {"README.md": "## How one reading travels", "README.zh-CN.md": "## 一个读数的旅程"}


def road(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    section = text.split(HEADINGS[page])[1].split("\n## ")[0]
    return re.findall(r"^\d+\. `([\w.]+)`", section, re.MULTILINE)


def missing(names, events):
    """The first name that does not follow on the ones before it, or None."""
    rest = iter(events)
    return next((name for name in names if name not in rest), None)


async def trace(tmp_path):
    """Names of all functions called from the poll that crosses the limit until its receipt is settled."""
    events, on = [], threading.Event()

    def note(frame, event, _):
        if event == "call" and on.is_set():
            module = frame.f_globals.get("__name__", "")
            if module.split(".")[0] in ROOMS:
                events.append(f"{module}.{frame.f_code.co_qualname}")

    (tmp_path / "data").mkdir()
    unit, stop = Unit("plc", 10), asyncio.Event()
    threading.setprofile(note)
    try:
        async with (
            ModbusPlc({1: unit}, AnswerLog()) as plc,
            Broker(tmp_path / "broker", site="site1", gateway="gw1", receivers=("province",)) as broker,
        ):
            house = House(configuration.load(written(tmp_path, plc.port, broker)))
            own = broker.receivers["province"]
            settings = ReceiverSettings(
                "province",
                broker.host,
                broker.port,
                broker.authority.ca_file,
                own.certificate,
                own.key,
                tmp_path / "store",
            )
            parts = [asyncio.create_task(Receiver(settings).run(stop)), asyncio.create_task(house.serve())]
            try:
                await settled(house, lambda status: status["spool"]["heads"]["reading"])
                unit.registers[2] = 85
                on.set()
                sys.setprofile(note)
                await settled(house, lambda status: status["alarms"])
            finally:
                sys.setprofile(None)
                on.clear()
                parts[1].cancel()
                stop.set()
                await asyncio.wait(parts)
    finally:
        sys.setprofile(None)
        threading.setprofile(None)
    return events


async def settled(house, happened):
    """Until something has happened and everything is acknowledged, the last alarm's record among it."""
    async with asyncio.timeout(60):
        while True:
            await asyncio.sleep(0.05)
            try:
                status = house.status(points=False)
            except AttributeError:
                continue  # it is just being set up
            last = max((alarm["t_changed"] for alarm in status["alarms"]), default="")
            if happened(status) and all(
                r["backlog_records"] == 0 and (r["last_acknowledged_at"] or "") > last
                for r in status["recipients"]
            ):
                return


def written(tmp_path, port, broker):
    recipient = {
        "name": "province",
        "host": broker.host,
        "port": broker.port,
        "ca": broker.authority.ca_file,
        "certificate": broker.gateway.certificate,
        "private_key": broker.gateway.key,
    }
    device = {"name": "plc", "driver": "modbus", "host": "127.0.0.1", "port": port}
    return write_configuration(
        tmp_path,
        [
            ("[site]", {"id": "site1"}),
            ("[gateway]", {"id": "gw1"}),
            ("[storage]", {"folder": tmp_path / "data"}),
            ("[runtime]", {"folder": tmp_path / "run"}),
            ("[[device]]", device),
            ("[[output]]", {"name": "siren", "kind": "file", "path": tmp_path / "siren"}),
            ("[[recipient]]", recipient),
        ],
        [{"tag": "LT-1", "device": "plc", "address": "40003", "h": 80}],
    )


def test_a_reading_travels_as_the_readme_says(tmp_path):
    names = road("README.md")
    assert len(names) > 15
    assert road("README.zh-CN.md") == names
    events = asyncio.run(trace(tmp_path))
    assert missing(names, events) is None
    assert missing(list(reversed(names)), events) is not None
    assert missing([*names, "gateway.nowhere"], events) == "gateway.nowhere"
