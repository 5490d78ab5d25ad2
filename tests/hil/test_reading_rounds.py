"""Bare block reads: an answer in pieces is one answer, a lost PLC is said, every point of the grid asks once."""

import asyncio
import time

import pytest

from hil.answers import AnswerLog
from hil.modbus_plc import ModbusPlc, Unit
from hil.reading_rounds import ANSWER_HEAD_BYTES, BlockLink, read_in_slot

UNIT_ID, REGISTERS = 7, 4
PERIOD_NS = 50_000_000


@pytest.mark.parametrize("pieces", [(17,), (1, 16), (5, 5, 7)])
def test_an_answer_is_taken_once_and_whole_however_it_comes(pieces):
    taken, answer = [], bytes(range(ANSWER_HEAD_BYTES + 2 * REGISTERS))
    link = BlockLink(UNIT_ID, REGISTERS, taken.append, pytest.fail)
    for _ in range(2):
        at = 0
        for piece in pieces:
            link.data_received(answer[at : at + piece])
            at += piece
    assert taken == [answer, answer]
    assert link.answers == 2


def test_every_point_of_the_grid_asks_every_link_once_and_a_lost_plc_is_said():
    async def story():
        log, taken, losses = AnswerLog(), [], []
        async with ModbusPlc({UNIT_ID: Unit("plc", REGISTERS)}, log) as plc:
            links = []
            for _ in range(2):
                _, link = await asyncio.get_running_loop().create_connection(
                    lambda: BlockLink(UNIT_ID, REGISTERS, taken.append, losses.append), plc.host, plc.port
                )
                links.append(link)
            begun_ns = time.monotonic_ns()
            read_in_slot(links, PERIOD_NS, 3)
            async with asyncio.timeout(30):
                while links[1].answers < 5:
                    await asyncio.sleep(0.01)
            rounds = (time.monotonic_ns() - begun_ns) // PERIOD_NS + 1
            assert plc.writes_seen == 0
            assert abs(links[0].answers - links[1].answers) <= 1
            assert len(taken) == links[0].answers + links[1].answers <= 2 * rounds
            assert not losses
            await plc.refuse()
            async with asyncio.timeout(30):
                while len(losses) < 2:
                    await asyncio.sleep(0.01)
        assert all("a PLC is gone" in why for why in losses)

    asyncio.run(story())
