"""SIGKILL at any moment: what was acknowledged is there, without a hole; at most one more."""

from __future__ import annotations

import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from spoolkit import SMALL, append, as_killed, gap_body

from buffer.record import leaf_hash
from buffer.spool import Spool

KILLS = 8


def one_life(path, lifetime_s, acknowledged):
    """Start the appender, kill it, bring the last acknowledged seq of each lane up to date."""
    script = Path(__file__).with_name("appender.py")
    with subprocess.Popen([sys.executable, str(script), str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(lifetime_s)
        process.send_signal(signal.SIGKILL)
        lines = process.stdout.read().decode().split("\n")[:-1]
    for lane, seq in (line.split() for line in lines):
        acknowledged[lane] = int(seq)


def test_everything_acknowledged_survives_a_kill(tmp_path):
    path = tmp_path / "spool.db"
    chance = random.Random(1)
    acknowledged = {"reading": 0, "alarm": 0}
    for _ in range(KILLS):
        one_life(path, chance.uniform(0.01, 0.25), acknowledged)
        spool = Spool.open(path, SMALL, ("province",), gap_body)
        try:
            assert spool.unclean
            assert spool.quarantined is None
            for lane, seq in acknowledged.items():
                assert 0 <= spool.heads[lane] - seq <= 1
                acknowledged[lane] = spool.heads[lane]
                found = spool.read(lane, 1, 10**6, 10**9).records
                assert [record.seq for record in found] == list(range(1, spool.heads[lane] + 1))
            assert sum(spool.heads.values()) == spool.next_leaf_no
            assert spool.state()["last"]
        finally:
            spool.close()
    assert min(acknowledged.values()) > KILLS, "it did append between the kills"


def test_the_negative_control_is_seen(tmp_path):
    """The same judgement on a spool that lost its newest commit: the check above can fail."""
    path = tmp_path / "spool.db"
    spool = Spool.open(path, SMALL, (), gap_body)
    body = b"acknowledged"
    acknowledged = [spool.append_many([append("reading", body + b"%d" % n)])[0][0].seq for n in range(5)]
    killed = as_killed(path, tmp_path / "killed")
    spool.close()
    wal = killed.with_name("spool.db-wal")
    content = bytearray(wal.read_bytes())
    at = content.rindex(leaf_hash(body + b"4"))
    content[at : at + 32] = bytes(32)
    wal.write_bytes(content)
    again = Spool.open(killed, SMALL, (), gap_body)
    assert again.heads["reading"] == acknowledged[-1] - 1
    again.close()
    conn = sqlite3.connect(killed)
    assert conn.execute("SELECT count(*) FROM reading").fetchone() == (4,)
    conn.close()
