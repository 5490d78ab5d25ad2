"""Opens a serial line as an asyncio transport, for one program at a time. Touches a tty; decides no byte.

Through termios and the loop alone. A line opened to listen is open for reading only, so that the kernel, too,
refuses to send on it.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import os
import struct
import termios
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Protocol

from drivers.kit.errors import WriteRefusedError

BAUDS: Final = (1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200, 230400)
PARITIES: Final = ("N", "E", "O")
READ_BYTES: Final = 4096
MAX_UNSENT_BYTES: Final = 1024
"""A line that takes no more bytes than this is broken."""

_CHARACTER: Final = termios.CSIZE | termios.PARENB | termios.PARODD | termios.CSTOPB


@dataclass(frozen=True, slots=True)
class Line:
    """A serial line and how bytes go over it, 8 data bits always.

    Attributes:
        path: the tty, best by a name that stays (``/dev/serial/by-id/…``).
        baud: bits per second, one of ``BAUDS``.
        parity: ``N``, ``E`` or ``O``.
        stop_bits: 1 or 2.
    """

    path: str
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1

    @property
    def byte_s(self) -> float:
        """Time one byte takes: start bit, 8 data bits, parity, stop bits."""
        return (9 + (self.parity != "N") + self.stop_bits) / self.baud


class Receiver(Protocol):
    """Whom a line's bytes are given to; as ``asyncio.Protocol`` names it."""

    def connection_made(self, transport: asyncio.BaseTransport, /) -> None:
        """The line is open."""

    def data_received(self, data: bytes, /) -> None:
        """Bytes arrived."""

    def connection_lost(self, exc: Exception | None, /) -> None:
        """The line is closed; no more comes."""


def open_line(line: Line, protocol: Receiver, *, listen_only: bool = False) -> SerialTransport:
    """Open a line and give its bytes to ``protocol``; what arrived before is thrown away.

    Raises:
        OSError: it does not exist, may not be opened, another program has it, or it cannot be set like this.
    """
    direction = os.O_RDONLY if listen_only else os.O_RDWR
    file = os.open(line.path, direction | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        _take_alone(file)
        if listen_only:
            _keep_off(file)
        _set(file, line)
    except BaseException:
        os.close(file)
        raise
    return SerialTransport(file, protocol, listen_only=listen_only)


def _take_alone(file: int) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise OSError(errno.EBUSY, "another program has this serial line open") from error


def _keep_off(file: int) -> None:
    """Take back the modem lines that opening has raised: a converter may drive the bus by them."""
    try:
        fcntl.ioctl(file, termios.TIOCMBIC, struct.pack("i", termios.TIOCM_DTR | termios.TIOCM_RTS))
    except OSError as error:
        if error.errno not in {errno.ENOTTY, errno.EINVAL}:  # a line without them
            raise


def _set(file: int, line: Line) -> None:
    speed = getattr(termios, f"B{line.baud}")
    character = termios.CS8
    if line.parity != "N":
        character |= termios.PARENB | (termios.PARODD if line.parity == "O" else 0)
    if line.stop_bits == 2:
        character |= termios.CSTOPB
    checked = termios.INPCK if line.parity != "N" else 0
    try:
        control = termios.tcgetattr(file)[6]
        control[termios.VMIN], control[termios.VTIME] = 1, 0
        flags = character | termios.CREAD | termios.CLOCAL
        termios.tcsetattr(file, termios.TCSANOW, [checked, 0, flags, 0, speed, speed, control])
        taken = termios.tcgetattr(file)
        termios.tcflush(file, termios.TCIOFLUSH)
    except termios.error as error:
        code = error.args[0]
        if code == errno.ENOTTY:
            raise OSError(code, "it is no serial line") from error
        raise OSError(code, f"the serial line refuses {_said(line)}: {error.args[1]}") from error
    if taken[2] & _CHARACTER != character or taken[5] != speed:
        raise OSError(errno.EINVAL, f"the serial line does not do {_said(line)}")


def _said(line: Line) -> str:
    return f"{line.baud} baud 8{line.parity}{line.stop_bits}"


class SerialTransport(asyncio.Transport):
    """An open line; ends by ``abort`` or when the line breaks, then ``connection_lost`` is called once."""

    def __init__(self, file: int, protocol: Receiver, *, listen_only: bool) -> None:
        super().__init__({"file": file})
        self._loop = asyncio.get_running_loop()
        self._file = file
        self._protocol = protocol
        self._listen_only = listen_only
        self._unsent = b""
        self._closing = False
        protocol.connection_made(self)
        self._loop.add_reader(file, self._read)

    def is_closing(self) -> bool:
        """See ``asyncio.Transport``."""
        return self._closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes.

        Raises:
            WriteRefusedError: the line is open to listen only.
        """
        if self._listen_only:
            raise WriteRefusedError("this serial line is open to listen only")
        if self._closing:
            return
        waiting = bool(self._unsent)
        self._unsent += bytes(data)
        if not waiting:
            self._flush()

    def close(self) -> None:
        """The same as ``abort``: nothing that is still unsent matters."""
        self.abort()

    def abort(self) -> None:
        """End now."""
        self._end(None)

    def _flush(self) -> None:
        try:
            sent = os.write(self._file, self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._end(error)
            return
        self._unsent = self._unsent[sent:]
        if len(self._unsent) > MAX_UNSENT_BYTES:
            self._end(OSError(errno.EIO, "the serial line takes no bytes"))
        elif self._unsent:
            self._loop.add_writer(self._file, self._flush)
        else:
            self._loop.remove_writer(self._file)

    def _read(self) -> None:
        try:
            data = os.read(self._file, READ_BYTES)
        except BlockingIOError:
            return
        except OSError as error:
            self._end(error)
            return
        if data:
            self._protocol.data_received(data)
        else:
            self._end(OSError(errno.EIO, "the serial line is gone"))

    def _end(self, error: OSError | None) -> None:
        if self._closing:
            return
        self._closing = True
        self._loop.remove_reader(self._file)
        self._loop.remove_writer(self._file)
        with suppress(termios.error):  # of a line that is gone already
            termios.tcflush(self._file, termios.TCIOFLUSH)  # else closing waits for bytes that do not go out
        os.close(self._file)
        self._loop.call_soon(self._protocol.connection_lost, error)
