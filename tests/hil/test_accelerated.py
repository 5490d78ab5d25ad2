"""Clocks that run faster: an asyncio program lives so much more time, by both clocks, and its time-outs with it."""

import json
import os
import subprocess
import sys
import time

from hil.accelerated import environment

PROGRAM = """
import asyncio, json, time

async def main():
    mono, wall = time.monotonic(), time.time()
    await asyncio.sleep(100)
    print(json.dumps([time.monotonic() - mono, time.time() - wall]))

asyncio.run(main())
"""


def test_a_hundred_seconds_pass_in_one():
    began = time.monotonic()
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, **environment(100)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lived = json.loads(ended.stdout)
    assert min(lived) >= 99.9
    assert time.monotonic() - began < 50
