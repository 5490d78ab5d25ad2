"""A process that appends and prints each acknowledged seq, until it is killed: ``appender.py SPOOL``."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from spoolkit import SMALL, append, gap_body

from buffer.writer import SpoolWriter


async def main():
    writer = SpoolWriter(Path(sys.argv[1]), SMALL, ("province",), gap_body)
    opened = await writer.start()
    print(opened.heads["reading"], flush=True)

    async def one_lane(lane, size):
        for n in range(10**9):
            records = await writer.append(append(lane, b"%09d" % n * size, state={"last": b"%d" % n}))
            print(lane, records[-1].seq, flush=True)

    await asyncio.gather(one_lane("reading", 300), one_lane("alarm", 20))


asyncio.run(main())
