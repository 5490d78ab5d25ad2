"""A pair of ttys carries bytes both ways, and is gone with its end."""

import asyncio
import os
import tty

from hil.serial_pair import SerialPair


def test_bytes_go_both_ways_and_the_ttys_go_with_the_pair(tmp_path):
    async def story():
        async with SerialPair(tmp_path) as pair:
            files = [
                os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK) for path in (pair.asker, pair.bus)
            ]
            try:
                for file in files:
                    tty.setraw(file)
                for here, there in (files, files[::-1]):
                    os.write(here, bytes(range(256)))
                    await asyncio.sleep(0.1)
                    assert os.read(there, 1000) == bytes(range(256))
            finally:
                for file in files:
                    os.close(file)
        assert not pair.asker.exists()
        assert not pair.bus.exists()

    asyncio.run(story())
