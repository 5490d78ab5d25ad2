import os
import subprocess
import sys

PROGRAM = """
import logging
from gateway.log import set_up
set_up()
logging.getLogger("plantgate.x").info("line one\\nline two")
logging.getLogger("drivers.modbus").info("plc1 is back")
logging.getLogger("drivers.modbus").debug("noise")
logging.getLogger("pymodbus.logging").error("noise")
logging.getLogger("other").info("noise")
"""


def run(**env):
    clean = {k: v for k, v in os.environ.items() if k != "JOURNAL_STREAM"}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env={**clean, **env}, capture_output=True, text=True, check=True
    )
    assert done.stdout == ""
    return done.stderr


def test_under_journald_a_line_has_its_priority_and_stays_one_line():
    assert run(JOURNAL_STREAM="8:1") == (
        "<6>plantgate.x: line one | line two\n<6>drivers.modbus: plc1 is back\n"
    )


def test_on_a_terminal_a_line_has_its_time_and_libraries_are_quiet():
    said = run()
    assert "INFO plantgate.x: line one" in said
    assert "noise" not in said
