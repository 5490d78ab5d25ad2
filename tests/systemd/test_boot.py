"""The very unit starts the real service in a booted Debian 12, installed by install.sh without any network."""

from __future__ import annotations

import json
import shutil
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.root

GATEWAY_TOML = """\
[site]
id = "site"

[gateway]
id = "gw"

[[device]]
name = "plc1"
driver = "modbus"
host = "127.0.0.1"
port = 1502
"""
"""Nothing listens at that port inside the container: the PLC is silent."""

POINTS_CSV = "tag,device,address,type,hh\nLT101,plc1,40001,uint16,90\n"

INSTALL = ("sh", "/srv/plantgate-kit/install.sh")


@pytest.fixture(scope="module")
def installed(machine):
    """Installed, with a configuration whose only PLC is silent; not started."""
    said = machine.run(*INSTALL)
    assert "gateway.toml" in said
    assert machine.unit("ActiveState") == "inactive"
    etc = Path(machine.root, "etc/plantgate")
    (etc / "gateway.toml").write_text(GATEWAY_TOML, encoding="utf-8")
    (etc / "points.csv").write_text(POINTS_CSV, encoding="utf-8")
    (etc / "keys/province.key").write_text("not a real key\n", encoding="utf-8")
    return machine


@pytest.fixture
def running(installed):
    installed.start()
    yield installed
    installed.stop()


def test_it_is_ready_with_a_silent_plc_and_feeds_its_watchdog(running):
    assert running.unit("ActiveState") == "active"
    pid = running.unit("MainPID")
    assert running.run("stat", "-c", "%U", f"/proc/{pid}") == "plantgate"
    first = int(running.unit("WatchdogTimestampMonotonic"))
    end = time.monotonic() + 30
    while int(running.unit("WatchdogTimestampMonotonic")) == first:
        assert time.monotonic() < end, "no WATCHDOG=1 came"
        time.sleep(0.5)
    assert running.unit("MainPID") == pid
    assert running.unit("NRestarts") == "0"


def test_it_answers_and_says_that_the_silent_plc_is_silent(running):
    status = json.loads(running.run("plantgate", "status", "--json"))
    source = status["sources"][0]
    assert (source["name"], source["connected"], source["good"], source["bad"]) == ("plc1", False, 0, 1)
    assert status["spool"]["state"] == "ok"


def test_a_gateway_that_no_longer_judges_is_set_up_again(installed):
    quicker = Path(installed.root, "etc/systemd/system/plantgate.service.d/quicker.conf")
    quicker.parent.mkdir(parents=True)
    quicker.write_text("[Service]\nWatchdogSec=4s\n", encoding="utf-8")
    try:
        installed.run("systemctl", "daemon-reload")
        installed.start()
        installed.run("systemctl", "kill", "--signal=STOP", "--kill-whom=main", "plantgate.service")
        installed.wait_unit("NRestarts", "1")
        installed.wait_unit("ActiveState", "active")
        assert "Watchdog timeout" in installed.journal()
    finally:
        shutil.rmtree(quicker.parent)
        installed.stop()
        installed.run("systemctl", "daemon-reload")


def test_its_folders_and_keys_are_as_private_as_they_should_be(running):
    assert running.run("stat", "-c", "%U %a", "/var/lib/plantgate") == "plantgate 700"
    assert running.run("stat", "-c", "%U %G %a", "/etc/plantgate") == "root plantgate 750"
    assert running.run("stat", "-c", "%U %a", "/etc/plantgate/keys") == "root 700"
    assert running.run("ls", "/run/credentials/plantgate.service") == "keys_province.key"
    assert running.run("id", "-nG", "plantgate").split() == ["plantgate", "dialout", "gpio"]


def test_a_stop_is_clean(installed):
    installed.start()
    begin = time.monotonic()
    installed.stop()
    assert installed.unit("ActiveState") == "inactive"
    assert installed.unit("Result") == "success"
    assert time.monotonic() - begin < 20, "it had to be killed"


def test_a_killed_gateway_comes_back(running):
    before = running.unit("MainPID")
    running.run("systemctl", "kill", "--signal=KILL", "--kill-whom=main", "plantgate.service")
    running.wait_unit("NRestarts", "1")
    running.wait_unit("ActiveState", "active")
    assert running.unit("MainPID") != before


def test_installing_the_same_kit_again_leaves_the_running_gateway_alone(running):
    pid = running.unit("MainPID")
    running.run(*INSTALL)
    assert running.unit("MainPID") == pid


def test_a_kit_that_was_damaged_on_the_way_is_refused(installed):
    damaged = Path(installed.root, "srv/plantgate-kit/PLATFORM")
    before = damaged.read_text(encoding="utf-8")
    damaged.write_text("3.11 linux-mips\n", encoding="utf-8")
    try:
        assert "make kit" not in installed.run(*INSTALL, check=False)
        assert "incomplete or was changed" in installed.run(*INSTALL, check=False)
    finally:
        damaged.write_text(before, encoding="utf-8")


def test_an_upgrade_that_refuses_the_configuration_leaves_the_old_version_running(running):
    config = Path(running.root, "etc/plantgate/gateway.toml")
    pid, release = running.unit("MainPID"), running.run("readlink", "/opt/plantgate")
    config.write_text(GATEWAY_TOML + "\nno_such_key = 1\n", encoding="utf-8")
    try:
        assert "the old one goes on" in running.run(*INSTALL, check=False)
        assert running.unit("MainPID") == pid
        assert running.run("readlink", "/opt/plantgate") == release
    finally:
        config.write_text(GATEWAY_TOML, encoding="utf-8")
