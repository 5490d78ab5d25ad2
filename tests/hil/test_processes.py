"""A tree of processes is measured whole and ends whole, orphans and stubborn ones included."""

import asyncio
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hil.processes import StillRunningError, ToolMissingError, find_tool, start

FAMILY = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; x = bytearray(60_000_000); print('up', flush=True)\\n"
                          "end = time.process_time() + 0.4\\nwhile time.process_time() < end: pass\\ntime.sleep(60)"])
time.sleep(60)
"""
ORPHAN = """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN)\\n"
                  "print('up', flush=True); time.sleep(60)"])
"""


def python(code):
    return [sys.executable, "-c", code]


def wait_for(holds):
    end = time.monotonic() + 15
    while not holds():
        assert time.monotonic() < end, "what was waited for never came"
        time.sleep(0.02)


def alive(pid):
    """Ended counts as ended even where nobody collects orphans, as in a container without an init."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def test_usage_covers_children_and_kill_takes_them_along(tmp_path):
    tree = start(python(FAMILY), log=tmp_path / "log")
    try:
        wait_for(lambda: "up" in (tmp_path / "log").read_text())
        wait_for(lambda: tree.usage().cpu_s >= 0.4)
        usage = tree.usage()
        assert usage.processes == len(tree.pids()) == 2
        assert usage.rss_bytes > 60_000_000
        assert usage.context_switches > 0
    finally:
        pids = tree.pids()
        tree.kill()
    assert tree.returncode == -signal.SIGKILL
    assert tree.pids() == ()
    wait_for(lambda: not any(alive(pid) for pid in pids))


def test_an_orphan_that_ignores_sigterm_is_found_and_ended(tmp_path):
    tree = start(python(ORPHAN), log=tmp_path / "log")
    wait_for(lambda: "up" in (tmp_path / "log").read_text() and tree.returncode == 0)
    (orphan,) = tree.pids()
    assert asyncio.run(tree.stop(0.1)) == 0
    wait_for(lambda: not alive(orphan))


def test_written_bytes_are_counted(tmp_path):
    code = f"f = open({str(tmp_path / 'f')!r}, 'wb'); f.write(bytes(3_000_000)); f.flush()\n"
    tree = start(
        python(code + "import os, time; os.fsync(f.fileno()); print('up', flush=True); time.sleep(60)")
    )
    try:
        wait_for(lambda: tree.usage().written_bytes >= 3_000_000)
    finally:
        tree.kill()


def test_stop_is_polite_first_and_waits(tmp_path):
    polite = (
        "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('up', flush=True)\ntime.sleep(60)"
    )
    tree = start(python(polite), log=tmp_path / "log")
    wait_for(lambda: "up" in (tmp_path / "log").read_text())
    assert asyncio.run(tree.stop()) == 7


def test_waiting_has_an_end():
    tree = start(python("import time; time.sleep(60)"))
    try:
        with pytest.raises(StillRunningError, match="still runs after"):
            asyncio.run(tree.wait(0.1))
    finally:
        tree.kill()


def test_a_tree_dies_with_the_bench_that_started_it():
    code = (
        "import os, signal\nfrom hil.processes import start\n"
        "pid = start(['sleep', '60']).pid\n"
        "while not open(f'/proc/{pid}/cmdline').read().startswith('sleep'): pass\n"
        "print(pid, flush=True)\nos.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run(python(code), capture_output=True, text=True, timeout=30, check=False)
    wait_for(lambda: not alive(int(done.stdout)))


def test_a_missing_tool_is_named_with_its_package():
    assert find_tool("sh", "dash").endswith("/sh")
    with pytest.raises(ToolMissingError, match="apt-get install nothing-of-the-kind"):
        find_tool("no-such-program-here", "nothing-of-the-kind")
