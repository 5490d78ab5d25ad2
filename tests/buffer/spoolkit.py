"""What the spool's tests share: small settings, a readable gap body, a copy as a kill leaves it."""

from __future__ import annotations

import json
import shutil
from dataclasses import asdict

from buffer.record import Append, Draft
from buffer.settings import SpoolSettings

SMALL = SpoolSettings(quota_bytes=64 << 20, reserve_bytes=1 << 20, wal_pregrow_bytes=256 << 10, close_s=20)
RECIPIENTS = ("province", "bureau")


def gap_body(gap):
    return b"gap " + json.dumps(asdict(gap)).encode()


def gap_in(record):
    assert record.body.startswith(b"gap ")
    return json.loads(record.body[4:])


def append(lane, *bodies, created_ns=1, state=None):
    return Append(tuple(Draft(lane, created_ns, body) for body in bodies), state or {})


def as_killed(path, folder):
    """The spool as SIGKILL at this moment would leave it, in another folder."""
    folder.mkdir()
    for suffix in ("", "-wal"):
        shutil.copy(path.with_name(path.name + suffix), folder)
    return folder / path.name
