"""A tty as a transport, on real pty pairs: bytes both ways, one program at a time, none when it only listens."""

from __future__ import annotations

import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from ptys import line, open_files

from drivers.kit.errors import WriteRefusedError
from drivers.wire.serial import Line, open_line


class Taken(asyncio.Protocol):
    def __init__(self) -> None:
        self.data = b""
        self.lost: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        self.data += data

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set_result(exc)


async def until(condition: object) -> None:
    async with asyncio.timeout(10):
        while not condition():  # type: ignore[operator]
            await asyncio.sleep(0.005)


def test_bytes_go_both_ways_and_closing_leaves_nothing() -> None:
    async def story() -> None:
        with line() as bus:
            files = open_files()
            taken = Taken()
            transport = open_line(Line(bus.path), taken)
            bus.send(bytes(range(256)))
            await until(lambda: len(taken.data) == 256)
            assert taken.data == bytes(range(256)), "no byte is special"
            transport.write(bytes.fromhex("0103000000020d0a"))
            await until(lambda: bus.noise or bus.asked)
            transport.close()
            assert await taken.lost is None
            transport.abort()
            transport.write(b"late")
            assert transport.is_closing()
            assert open_files() == files

    asyncio.run(story())


def test_what_lay_in_the_line_before_it_was_opened_is_thrown_away() -> None:
    async def story() -> None:
        with line() as bus:
            bus.send(b"old")
            taken = Taken()
            transport = open_line(Line(bus.path), taken)
            bus.send(b"new")
            await until(lambda: taken.data)
            assert taken.data == b"new"
            transport.abort()
            await taken.lost

    asyncio.run(story())


def test_a_line_that_only_listens_cannot_send_by_us_nor_by_the_kernel() -> None:
    async def story() -> None:
        with line() as bus:
            taken = Taken()
            transport = open_line(Line(bus.path), taken, listen_only=True)
            with pytest.raises(WriteRefusedError):
                transport.write(b"\x01\x03\x00\x00\x00\x01\x84\x0a")
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.write(transport._file, b"x")
            transport.abort()
            await taken.lost
            assert bus.asked == []
            assert bus.noise == b""

    asyncio.run(story())


def another_program(path: str) -> str:
    take = (
        "import fcntl, os, sys\n"
        "f = os.open(sys.argv[1], os.O_RDWR | os.O_NOCTTY)\n"
        "fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    )
    return subprocess.run(
        [sys.executable, "-c", take, path], capture_output=True, text=True, check=False
    ).stderr


def test_a_line_is_one_programs_at_a_time() -> None:
    async def story() -> None:
        with line() as bus:
            first = Taken()
            transport = open_line(Line(bus.path), first)
            with pytest.raises(OSError, match="another program") as caught:
                open_line(Line(bus.path), Taken(), listen_only=True)
            assert caught.value.errno == errno.EBUSY
            assert "BlockingIOError" in another_program(bus.path)
            transport.abort()
            await first.lost
            second = Taken()
            open_line(Line(bus.path), second).abort()
            await second.lost

    asyncio.run(story())


def test_what_is_no_serial_line_or_cannot_be_set_so_is_said(tmp_path: Path) -> None:
    async def story() -> None:
        plain = tmp_path / "plain"
        plain.touch()
        with pytest.raises(OSError, match="no serial line"):
            open_line(Line(str(plain)), Taken())
        with pytest.raises(FileNotFoundError):
            open_line(Line(str(tmp_path / "none")), Taken())
        with line() as bus:
            files = open_files()
            with pytest.raises(OSError, match="9600 baud 8E1"):
                open_line(Line(bus.path, parity="E"), Taken())
            assert open_files() == files

    asyncio.run(story())


def test_a_line_that_breaks_is_told_once() -> None:
    async def story() -> None:
        far, near = os.openpty()
        taken = Taken()
        transport = open_line(Line(os.ttyname(near)), taken)
        os.close(near)
        os.close(far)
        async with asyncio.timeout(10):
            assert isinstance(await taken.lost, OSError)
        assert transport.is_closing()

    asyncio.run(story())


def test_the_time_of_a_byte_counts_start_parity_and_stop() -> None:
    assert Line("", 9600).byte_s == pytest.approx(10 / 9600)
    assert Line("", 9600, "E", 1).byte_s == pytest.approx(11 / 9600)
    assert Line("", 19200, "O", 2).byte_s == pytest.approx(12 / 19200)
