"""Independent strict readers of Modbus answers and JPEG files: they say what may be believed. Pure.

Written from the specifications alone and sharing no code with the drivers, whose judges they are: what is invalid
here must never have become a good value there. (Modbus TCP has no checksum, so what is valid here may still be
wrong; that is the protocol's.) Sources: Modbus Messaging on TCP/IP V1.0b section 3.1.3, Modbus over Serial Line
V1.02 section 2.5.1, Modbus Application Protocol V1.1b3 section 6.3, ITU-T T.81 annex B.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

_MBAP: Final = struct.Struct(">HHHB")
MAX_ADU_BYTES: Final = 260
"""Longest frame of Modbus TCP; a reader holds no more than this."""


@dataclass(frozen=True, slots=True)
class Question:
    """A reading request as it arrived.

    Attributes:
        transaction: 0 where the transport has none.
    """

    transaction: int
    unit: int
    function_code: int
    start: int
    count: int

    @property
    def data_bytes(self) -> int:
        """Bytes of data in the right answer."""
        return (self.count + 7) // 8 if self.function_code in {1, 2} else 2 * self.count


class Reader(Protocol):
    """One connection as a strict master would read it.

    Attributes:
        valid: data bytes of the right answer to the last question; None while there is none.
    """

    valid: bytes | None

    def asked(self, question: Question) -> None:
        """A question arrived at the device."""
        ...

    def sent(self, data: bytes) -> None:
        """The device sent this."""
        ...


class TcpReader:
    """See ``Reader``. Modbus TCP: frames in order, each of a transaction that was asked for."""

    def __init__(self) -> None:
        self.valid: bytes | None = None
        self._open: Question | None = None
        self._earlier: set[int] = set()
        self._buffer = b""
        self._lost = False

    def asked(self, question: Question) -> None:
        """See ``Reader``."""
        if self._open is not None:
            self._earlier.add(self._open.transaction)
        self._earlier.discard(question.transaction)
        self._open = question
        self.valid = None

    def sent(self, data: bytes) -> None:
        """See ``Reader``."""
        self._buffer += data
        while not self._lost and len(self._buffer) >= _MBAP.size:
            transaction, protocol, length, unit = _MBAP.unpack_from(self._buffer)
            if protocol != 0 or not 3 <= length <= MAX_ADU_BYTES - 6:
                self._lose()
                return
            if len(self._buffer) < 6 + length:
                return
            pdu, self._buffer = self._buffer[7 : 6 + length], self._buffer[6 + length :]
            self._frame(transaction, unit, pdu)
        if self._lost:
            self._buffer = b""

    def _frame(self, transaction: int, unit: int, pdu: bytes) -> None:
        question = self._open
        if question is not None and transaction == question.transaction:
            self._open = None
            self.valid = _data(question, unit, pdu)
            self._lost = self.valid is None and not _is_exception(question, unit, pdu)
        elif transaction in self._earlier:
            self._earlier.discard(transaction)
        else:
            self._lose()

    def _lose(self) -> None:
        """From the next question on nothing is valid; what came whole before this may have been read already."""
        self._lost = True


class RtuReader:
    """See ``Reader``. RTU: only what begins with the first byte after the question can be its answer."""

    def __init__(self) -> None:
        self.valid: bytes | None = None
        self._open: Question | None = None
        self._buffer = b""

    def asked(self, question: Question) -> None:
        """See ``Reader``."""
        self._open, self._buffer, self.valid = question, b"", None

    def sent(self, data: bytes) -> None:
        """See ``Reader``."""
        question = self._open
        if question is None:
            return
        self._buffer += data[: MAX_ADU_BYTES - len(self._buffer)]
        whole = question.data_bytes + 5
        if len(self._buffer) >= whole:
            self._open = None
            frame = self._buffer[:whole]
            if crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little"):
                self.valid = _data(question, frame[0], frame[1:-2])


def _data(question: Question, unit: int, pdu: bytes) -> bytes | None:
    expected = question.data_bytes
    right = (
        unit == question.unit
        and len(pdu) == 2 + expected
        and pdu[0] == question.function_code
        and pdu[1] == expected
    )
    return pdu[2:] if right else None


def _is_exception(question: Question, unit: int, pdu: bytes) -> bool:
    return unit == question.unit and len(pdu) == 2 and pdu[0] == question.function_code + 128 and pdu[1] != 0


def crc16(data: bytes) -> int:
    """CRC of a Modbus RTU frame, bit by bit as the specification's appendix B draws it."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc


READERS: Final[dict[str, Callable[[], Reader]]] = {"tcp": TcpReader, "rtu_over_tcp": RtuReader}
"""By the driver's name of the transport."""


def is_jpeg(data: bytes) -> bool:
    """Whether these bytes are one JPEG from its first marker to its last, with a frame and a scan."""
    data = data.rstrip(b"\0\r\n")  # some cameras fill up their last block
    if data[:2] != b"\xff\xd8" or data[-2:] != b"\xff\xd9":
        return False
    at, frame = 2, False
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xDA:
            return frame and length >= 2 and at + 2 + length <= len(data) - 2
        if length < 2:
            return False
        frame = frame or (0xC0 <= marker <= 0xCF and marker not in {0xC4, 0xC8, 0xCC})
        at += 2 + length
    return False
