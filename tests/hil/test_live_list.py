"""Who asks for the live list all the while: a socket that answers slowly is seen, one that goes is no answer."""

import asyncio
import contextlib

import pytest

from hil.live_list import OPS, Asking

ANSWER = b'{"ok":true,"data":[]}\n'
SLOW_S = 0.05


@contextlib.asynccontextmanager
async def control(path, *, answers=10**6, slow_s=0.0):
    """A control socket that answers so many questions, then goes."""

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError):
            for _ in range(answers):
                if not await reader.readline():
                    break
                await asyncio.sleep(slow_s)
                writer.write(ANSWER[:5])
                await writer.drain()
                writer.write(ANSWER[5:])
                await writer.drain()
        writer.close()

    async with await asyncio.start_unix_server(serve, path):
        yield


async def asked(folder, **how):
    async with control(folder / "control.sock", **how):
        asking = Asking.start(folder / "control.sock", folder)
        await asyncio.sleep(1.5)
        return await asking.stop()


def test_every_answer_is_timed_to_its_last_byte(tmp_path):
    answers = asyncio.run(asked(tmp_path, slow_s=SLOW_S))
    assert len(answers) > 3
    assert {one.op for one in answers} == set(OPS)
    assert {one.size for one in answers} == {len(ANSWER)}
    assert min(one.ms for one in answers) >= SLOW_S * 1e3
    assert [one.asked_ns for one in answers] == sorted(one.asked_ns for one in answers)


@pytest.mark.parametrize("answers", [0, 3])
def test_a_gateway_that_goes_is_no_answer(tmp_path, answers):
    assert asyncio.run(asked(tmp_path, answers=answers)) == []
