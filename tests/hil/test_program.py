"""A program can be started, killed and stopped again and again."""

import asyncio
import sys

import pytest

from hil.program import Program, ProgramError

SLEEPS = "import sys, time; print('up', flush=True); time.sleep(60)"


def test_it_is_killed_and_started_again_with_one_log(tmp_path):
    program = Program([sys.executable, "-c", SLEEPS], tmp_path / "log")

    async def story():
        for starts in (1, 2):
            program.start()
            async with asyncio.timeout(20):
                while program.tail().count("up") < starts:
                    await asyncio.sleep(0.02)
            assert program.running
            program.kill()
            assert not program.running
            assert program.tree.pids() == ()
        program.start()
        assert await program.stop() == -15

    asyncio.run(story())


def test_one_that_was_never_started_says_so(tmp_path):
    program = Program(["/bin/true", "run"], tmp_path / "log")
    assert not program.running
    assert program.tail() == ""
    program.kill()
    with pytest.raises(ProgramError, match="never started"):
        _ = program.tree
