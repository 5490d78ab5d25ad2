"""What people decide holds in the running house and over its restarts: real PLC, spool, control socket, processes."""

import asyncio
import json
import os
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from buffer.settings import SpoolSettings
from buffer.spool import Spool
from gateway import app, certificates, intake, timekeeping
from gateway import config as configuration
from gateway.app import House
from gateway.clock import SystemClock
from gateway.codec import decode
from gateway.control import ask
from gateway.errors import UserFacingError
from hil.answers import AnswerLog
from hil.configuration import write_configuration
from hil.modbus_plc import ModbusPlc, Unit
from hil.pki import Authority

ROW = {"tag": "LT-1", "device": "plc", "address": "40003", "l": 10, "h": 80, "hh": 90, "unit": "%"}
AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(sys.argv[2].encode() + b"\\n")
    sys.stdout.write(connection.makefile().readline())
"""


class Site:
    """A folder with a configuration, and the house that runs by it."""

    def __init__(self, folder, port=1, *more):
        self.folder, self.port, self.more = folder, port, more
        (folder / "data").mkdir()
        self.write()

    def write(self, **cells):
        self.path = write_configuration(
            self.folder,
            [
                ("[site]", {"id": "site1"}),
                ("[gateway]", {"id": "gw1"}),
                ("[storage]", {"folder": self.folder / "data"}),
                ("[runtime]", {"folder": self.folder / "run"}),
                (
                    "[[device]]",
                    {
                        "name": "plc",
                        "driver": "modbus",
                        "period_s": 0.2,
                        "host": "127.0.0.1",
                        "port": self.port,
                    },
                ),
                *self.more,
            ],
            [{**ROW, **cells}],
        )

    @asynccontextmanager
    async def running(self):
        house = House(configuration.load(self.path))
        serving = asyncio.create_task(house.serve())
        try:
            yield house
        finally:
            serving.cancel()
            await asyncio.wait({serving})
            assert house.hanging == []

    @property
    def socket(self):
        return self.folder / "run" / "control.sock"

    async def ask(self, op, until=lambda data: True, **more):
        async with asyncio.timeout(30):
            while True:
                try:
                    data = await asyncio.to_thread(ask, self.socket, {"op": op, **more})
                except UserFacingError as e:
                    if not e.code.startswith("E-CONTROL"):
                        raise
                else:
                    if until(data):
                        return data
                await asyncio.sleep(0.02)

    async def alarm(self, condition, until=lambda alarm: True):
        def there(data):
            return any(a["condition"] == condition and until(a) for a in data["alarms"])

        data = await self.ask("status", there)
        return next(a for a in data["alarms"] if a["condition"] == condition)

    async def refused(self, op, **more):
        with pytest.raises(UserFacingError) as caught:
            await self.ask(op, **more)
        return caught.value.code

    def journal(self, *kinds):
        """What the record says, of these kinds."""
        spool = Spool.open(self.folder / "data" / "spool.db", SpoolSettings(), (), lambda _gap: b"")
        try:
            batch = spool.read("journal", 1, 10_000, 1 << 30)
        finally:
            spool.close()
        bodies = [decode(record.body) for record in batch.records]
        return [body.header["item"] for body in bodies if body.kind in kinds]


@asynccontextmanager
async def plant(tmp_path, *more, level=85):
    unit = Unit("plc", 10)
    unit.registers[2] = level
    async with ModbusPlc({1: unit}, AnswerLog()) as plc:
        yield Site(tmp_path, plc.port, *more), unit


def limits_told(site):
    told = [item for item in site.journal("config_change") if item["object"] != "configuration"]
    keys = ("object", "field", "old", "new", "by", "approved_by", "reason")
    return [tuple(item[key] for key in keys) for item in told]


def test_a_shelf_holds_over_a_restart_and_is_released_by_name(tmp_path):
    async def story():
        async with plant(tmp_path) as (site, _):
            async with site.running():
                await site.alarm("LT-1/high")
                await site.ask("shelve", target="LT-1", for_s=600, reason="换液位计")
                shelved = await site.alarm("LT-1/high", lambda a: a["shelved_until"])
            async with site.running():
                alarm = await site.alarm("LT-1/high")
                assert alarm["shelved_until"] == shelved["shelved_until"]
                assert alarm["alarm_id"] == shelved["alarm_id"]
                (held,) = await site.ask("held")
                assert (held["target"], held["reason"]) == ("LT-1", "换液位计")
                assert 500 < held["remaining_s"] <= 600
                status = await site.ask("status")
                assert status["held"] == {"shelved": 1, "out_of_service": 0, "suppressed": 0, "tests": []}
                await site.ask("unshelve", target="LT-1")
                await site.alarm("LT-1/high", lambda a: not a["shelved_until"])
            async with site.running():
                assert await site.ask("held") == []
        actions = [(item["action"], item["reason"]) for item in site.journal("operator_action")]
        assert actions == [("shelve", "换液位计"), ("unshelve", "换液位计")]

    asyncio.run(story())


def test_a_shelf_ends_by_itself(tmp_path):
    async def story():
        async with plant(tmp_path) as (site, _), site.running():
            await site.alarm("LT-1/high")
            await site.ask("shelve", target="LT-1/high", for_s=0.5, reason="x")
            await site.ask("held", lambda held: held == [])
            assert (await site.alarm("LT-1/high"))["shelved_until"] is None

    asyncio.run(story())


def test_a_limit_changed_while_its_alarm_stands_is_on_record_first_and_holds_over_restarts(tmp_path):
    async def story():
        async with plant(tmp_path) as (site, _):
            async with site.running():
                await site.alarm("LT-1/high")
                told = await site.ask("limit_set", point_id="LT-1", values={"H": 88}, reason="工艺变更")
                assert told["changed"]
                alarm = await site.alarm("LT-1/high", lambda a: not a["active"])
                assert alarm["clear_kind"] == "returned"
                assert (await site.ask("status"))["limits"] == {"changed": 1, "staged": 0}
                await site.ask("ack", alarm_id=alarm["alarm_id"])
            async with site.running():
                await site.ask("status", lambda d: d["sources"][0]["good"])
                assert (await site.ask("status"))["alarms"] == []
                (limit,) = await site.ask("limits")
                assert (limit["limits"]["H"], limit["table"]["H"]) == (88.0, 80.0)
                await site.ask("limit_return", point_id="LT-1", reason="试完")
                await site.alarm("LT-1/high", lambda a: a["active"] and a["limit_edge"] == 80.0)
        assert limits_told(site) == [
            ("point LT-1", "H", 80.0, 88.0, app_user(), "", "工艺变更"),
            ("point LT-1", "H", 88.0, 80.0, app_user(), "", "试完"),
        ]

    asyncio.run(story())


def test_the_table_wins_where_its_cell_was_edited_and_every_hand_edit_is_told(tmp_path):
    async def story():
        async with plant(tmp_path, level=50) as (site, _):
            async with site.running():
                await site.ask("limit_set", point_id="LT-1", values={"H": 88}, reason="工艺变更")
            site.write(h=85, l=12)
            async with site.running():
                assert await site.ask("limits") == []
                (limit,) = await site.ask("limits", all=True)
                assert (limit["limits"]["H"], limit["limits"]["L"]) == (85.0, 12.0)
        assert sorted(limits_told(site)[1:]) == [
            ("point LT-1", "H", 88.0, 85.0, "unknown", "", ""),
            ("point LT-1", "L", 10.0, 12.0, "unknown", "", ""),
        ]

    asyncio.run(story())


def test_no_limit_changes_while_the_record_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr(intake, "STALL_S", 0.2)

    async def story():
        async with plant(tmp_path) as (site, _), site.running() as house:
            await site.alarm("LT-1/high")
            free, append = asyncio.Event(), house._spool.append

            async def hung(what):
                await free.wait()
                return await append(what)

            monkeypatch.setattr(house._spool, "append", hung)
            await site.alarm("gateway/disk")
            change = {"point_id": "LT-1", "values": {"H": 88}, "reason": "工艺变更"}
            assert await site.refused("limit_set", **change) == "E-REFUSED-LIMIT-DISK"
            assert await site.ask("limits") == []
            assert (await site.alarm("LT-1/high"))["active"]
            free.set()
            await site.alarm("gateway/disk", lambda a: not a["active"])
            assert (await site.ask("limit_set", **change))["changed"]

    asyncio.run(story())


def app_user():
    import pwd

    return pwd.getpwuid(os.geteuid()).pw_name


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root to become somebody else"
)
def test_a_second_person_is_another_user_of_the_machine(tmp_path):
    async def story():
        two = ("[alarms]", {"second_person": True}), ("[roles]", {"nogroup": "engineer"})
        async with plant(tmp_path, *two) as (site, _), site.running():
            await site.alarm("LT-1/high")
            told = await site.ask("limit_set", point_id="LT-1", values={"H": 88}, reason="工艺变更")
            assert (told["changed"], bool(told["waits"])) == (False, True)
            assert (await site.ask("limits", all=True))[0]["limits"]["H"] == 80.0
            assert await site.refused("limit_approve", id=told["waits"]) == "E-REFUSED-SAME-PERSON"
            answer = await asyncio.to_thread(as_nobody, site, {"op": "limit_approve", "id": told["waits"]})
            assert answer["ok"], answer
            await site.alarm("LT-1/high", lambda a: not a["active"])
        assert limits_told(site) == [("point LT-1", "H", 80.0, 88.0, app_user(), "nobody", "工艺变更")]
        (staged,) = site.journal("operator_action")
        assert (staged["action"], staged["by"]) == ("limit_stage", app_user())

    asyncio.run(story())


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root to become somebody else"
)
def test_an_operator_may_not_do_an_engineers_work(tmp_path):
    async def story():
        async with plant(tmp_path, ("[roles]", {"nogroup": "operator"})) as (site, _), site.running():
            alarm = await site.alarm("LT-1/high")
            hold = {"target": "LT-1", "for_s": 60, "reason": "x"}
            codes = {}
            for request in (
                {"op": "shelve", **hold},
                {"op": "out_of_service", **hold},
                {"op": "test", "point_id": "LT-1", "value": 95, "for_s": 60, "reason": "x"},
                {"op": "limit_set", "point_id": "LT-1", "values": {"H": 88}, "reason": "x"},
                {"op": "ack", "alarm_id": alarm["alarm_id"]},
            ):
                answer = await asyncio.to_thread(as_nobody, site, request)
                codes[request["op"]] = "ok" if answer["ok"] else answer["error"]["code"]
            refused = "E-REFUSED-ROLE"
            assert codes == {
                "shelve": "ok",
                "ack": "ok",
                "out_of_service": refused,
                "test": refused,
                "limit_set": refused,
            }

    asyncio.run(story())


def as_nobody(site, request):
    for folder in (site.folder, site.folder / "run", *site.folder.parents):
        if not folder.stat().st_mode & 0o001:
            folder.chmod(folder.stat().st_mode | 0o001)
    command = [sys.executable, "-c", AS_NOBODY, str(site.socket), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=30)
    return json.loads(done.stdout)


def test_the_whole_round_by_the_command_line(tmp_path):
    program = "from gateway.cli import main; raise SystemExit(main())"

    def plantgate(site, *words):
        command = [sys.executable, "-c", program, *words, "--config", str(site.path)]
        ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=60, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout + ended.stderr

    async def story():
        async with plant(tmp_path) as (site, _), site.running():
            await site.alarm("LT-1/high")

            def round_():
                shelve = ["alarms", "shelve", "LT-1", "--for", "30m", "--reason", "换表"]
                assert "已搁置 LT-1，30 分后自动结束" in plantgate(site, *shelve)
                assert "搁置至" in plantgate(site, "alarms")
                assert "换表" in plantgate(site, "alarms", "held")
                assert "搁置 1" in plantgate(site, "status")
                plantgate(site, "alarms", "unshelve", "LT-1")
                test = ["alarms", "test", "LT-1", "95", "--for", "1m", "--reason", "月检"]
                assert "LT-1 正按 95 测试" in plantgate(site, *test)
                assert "测试 LT-1 = 95 → 高高" in plantgate(site, "status")
                plantgate(site, "alarms", "end-test", "LT-1")
                assert "已确认 LT-1/high@" in plantgate(site, "alarms", "ack", "LT-1", "--note", "看到了")
                change = ["limits", "set", "LT-1", "H=88", "HH=none", "--reason", "工艺变更"]
                assert "已修改：H 80 → 88, HH 90 → —。" in plantgate(site, *change)
                assert "88 (80)" in plantgate(site, "limits")
                assert "限值与点表不同 1" in plantgate(site, "status")
                plantgate(site, "limits", "return", "LT-1", "--reason", "完")
                assert "所有限值都与点表一致" in plantgate(site, "limits")

            await asyncio.to_thread(round_)

    asyncio.run(story())


def test_a_clock_that_nobody_sets_is_an_alarm(tmp_path, monkeypatch):
    monkeypatch.setattr(app, "BEAT_S", 0.05)
    monkeypatch.setattr(timekeeping, "UNSYNCHRONISED_S", 0.0)
    monkeypatch.setattr(app, "SystemClock", lambda: SystemClock(tmp_path / "no mark", lambda: None))

    async def story():
        async with plant(tmp_path) as (site, _), site.running():
            alarm = await site.alarm("gateway/clock")
            assert "not synchronised" in alarm["cause"]

    asyncio.run(story())


def test_a_certificate_that_ends_soon_is_an_alarm_of_its_recipient(tmp_path, monkeypatch):
    monkeypatch.setattr(certificates, "WARN_DAYS", 100)
    authority = Authority(Path(tmp_path) / "pki")
    own = authority.client("gw1")
    recipient = {
        "name": "province",
        "host": "localhost",
        "port": 9,
        "ca": authority.ca_file,
        "certificate": own.certificate,
        "private_key": own.key,
    }

    async def story():
        async with plant(tmp_path, ("[[recipient]]", recipient)) as (site, _), site.running():
            alarm = await site.alarm("gateway/certificate/province")
            assert ".pem ends on " in alarm["cause"]
            assert alarm["source"] == "certificate/province"

    asyncio.run(story())
