"""A Modbus TCP PLC that answers reads, refuses writes and fails on command. Touches sockets.

Source of the frames: Modbus Application Protocol V1.1b3 and Messaging on TCP/IP V1.0b. Own code and not
pymodbus' server, because the speed bench runs a hundred of these in one process and outside its sum.

Registers 0 and 1 are a uint32 answer counter, high word first: every completed answer to a read of both
raises it, so that each answer, and with it each reading, can be told from every other.
"""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import Counter
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Final, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hil.answers import AnswerLog

READ_FUNCTIONS: Final = frozenset({1, 2, 3, 4})
"""All a gateway may ever ask; any other function code counts as a write seen."""

ILLEGAL_FUNCTION: Final = 1
ILLEGAL_ADDRESS: Final = 2
ILLEGAL_VALUE: Final = 3
MAX_REGISTERS_PER_READ: Final = 125
MAX_BITS_PER_READ: Final = 2000
MAX_LENGTH: Final = 254
COUNTER_REGISTERS: Final = 2

Registers: TypeAlias = NDArray[np.uint16]

_HEADER: Final = struct.Struct(">HHHB")
_READ: Final = struct.Struct(">BHH")
_COUNTER: Final = struct.Struct(">I")


class Unit:
    """One device behind a port: holding and input registers are one space, coils and discrete inputs another.

    Args:
        name: unique in the log.
        registers: size of the register space, the two of the counter included.
        bits: size of the bit space.
        refresh: called with this unit before each answer that counts, to put fresh values in; must be quick.

    Attributes:
        registers: uint16[n], big-endian view of what goes on the wire; write to [2:] at will.
        bits: bool[m].
    """

    def __init__(
        self,
        name: str,
        registers: int = 102,
        bits: int = 64,
        refresh: Callable[[Unit], None] | None = None,
    ) -> None:
        assert registers >= COUNTER_REGISTERS, "registers 0 and 1 are the answer counter"
        self.name = name
        self.wire = bytearray(2 * registers)
        self.registers: Registers = np.frombuffer(self.wire, dtype=">u2")
        self.bits: NDArray[np.bool_] = np.zeros(bits, dtype=np.bool_)
        self.refresh = refresh

    @property
    def counter(self) -> int:
        """How many answers that count were completed."""
        return int(_COUNTER.unpack_from(self.wire)[0])


class ModbusPlc:
    """A port with one unit or many behind it.

    Args:
        units: by unit identifier.
        log: where completed answers go.
        host: address to listen on.
        port: 0 picks a free one; it stays the same over ``reboot``.
        max_connections: sessions it stands at once; further ones are closed at once. 0: no limit.
        seed: of the garbage.

    Attributes:
        silent: connections stand, nothing is answered.
        garbage: answers are random bytes.
        delay_s: each answer comes this much later (and counts as completed even if nobody waits so long).
        dead_units: unit identifiers that never answer (as an absent unit on a real bus).
        exceptions: (first register, how many, exception code): a read that touches them gets the code.
        functions: how often each function code was asked.
        opened: connections accepted so far.
    """

    def __init__(
        self,
        units: Mapping[int, Unit],
        log: AnswerLog,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        max_connections: int = 0,
        seed: int = 0,
    ) -> None:
        self.units = dict(units)
        self.log = log
        self.host = host
        self.port = port
        self.max_connections = max_connections
        self.silent = False
        self.garbage = False
        self.delay_s = 0.0
        self.dead_units: set[int] = set()
        self.exceptions: list[tuple[int, int, int]] = []
        self.functions: Counter[int] = Counter()
        self.opened = 0
        self.connections: set[_Connection] = set()
        self.dice = random.Random(seed)
        self._log_index = {unit_id: log.add_device(unit.name) for unit_id, unit in self.units.items()}
        self._server: asyncio.Server | None = None

    @property
    def listening(self) -> bool:
        """Whether it accepts connections."""
        return self._server is not None

    @property
    def writes_seen(self) -> int:
        """Requests with any function code that is not a plain read."""
        return sum(count for code, count in self.functions.items() if code not in READ_FUNCTIONS)

    async def __aenter__(self) -> Self:
        await self.accept()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.refuse()

    async def accept(self) -> None:
        """Listen (again).

        Raises:
            OSError: the port is taken.
        """
        if self._server is None:
            loop = asyncio.get_running_loop()
            self._server = await loop.create_server(lambda: _Connection(self), self.host, self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Cut every connection and refuse new ones."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
            self.drop()
            await asyncio.sleep(0)  # the loop has the connections' ends queued
            await server.wait_closed()

    def drop(self) -> None:
        """Cut every connection without a word; new ones are accepted."""
        for connection in tuple(self.connections):
            connection.cut()

    async def reboot(self, down_s: float) -> None:
        """Cut all, refuse for ``down_s``, come back on the same port."""
        await self.refuse()
        await asyncio.sleep(down_s)
        await self.accept()

    def answer(self, unit_id: int, pdu: bytes) -> bytes | None:
        """The answer's PDU, or None where a real bus would be silent."""
        unit = self.units.get(unit_id)
        code = pdu[0]
        self.functions[code] += 1
        if unit is None or self.silent or unit_id in self.dead_units:
            return None
        if self.garbage:
            return self.dice.randbytes(self.dice.randint(1, MAX_LENGTH - 1))
        if code not in READ_FUNCTIONS:
            return _exception(code, ILLEGAL_FUNCTION)
        if len(pdu) != _READ.size:
            return _exception(code, ILLEGAL_VALUE)
        _, first, count = _READ.unpack(pdu)
        if code < 3:
            return _bits(unit, code, first, count)
        return self._registers(unit, code, first, count)

    def _registers(self, unit: Unit, code: int, first: int, count: int) -> bytes:
        if not 1 <= count <= MAX_REGISTERS_PER_READ:
            return _exception(code, ILLEGAL_VALUE)
        if 2 * (first + count) > len(unit.wire):
            return _exception(code, ILLEGAL_ADDRESS)
        for start, length, exception in self.exceptions:
            if first < start + length and start < first + count:
                return _exception(code, exception)
        if first == 0 and count >= COUNTER_REGISTERS:
            if unit.refresh is not None:
                unit.refresh(unit)
            _COUNTER.pack_into(unit.wire, 0, (unit.counter + 1) & 0xFFFF_FFFF)
        return bytes((code, 2 * count)) + unit.wire[2 * first : 2 * (first + count)]

    def completed(self, unit_id: int, pdu: bytes, request: bytes) -> None:
        """Log an answer just handed to a socket, if it is one that counts."""
        if self.garbage or request[0] not in (3, 4) or pdu[0] != request[0]:
            return
        if request[1:3] == b"\0\0" and len(pdu) >= 2 + 2 * COUNTER_REGISTERS:
            registers = pdu[2:]
            counter = _COUNTER.unpack_from(registers)[0]
            self.log.append(self._log_index[unit_id], counter, time.monotonic_ns(), registers)


class _Connection(asyncio.Protocol):
    def __init__(self, plc: ModbusPlc) -> None:
        self._plc = plc
        self._buffer = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        plc = self._plc
        if not plc.listening:  # accepted just before the port was closed
            transport.abort()
            return
        plc.opened += 1
        if plc.max_connections and len(plc.connections) >= plc.max_connections:
            transport.abort()
            return
        plc.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._plc.connections.discard(self)
        self._transport = None

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        buffer = self._buffer + data if self._buffer else data
        while len(buffer) > _HEADER.size:
            transaction, protocol, length, unit_id = _HEADER.unpack_from(buffer)
            if protocol != 0 or not 2 <= length <= MAX_LENGTH:
                self.cut()
                return
            end = length + 6
            if len(buffer) < end:
                break
            self._handle(transaction, unit_id, buffer[7:end])
            buffer = buffer[end:]
        self._buffer = buffer

    def _handle(self, transaction: int, unit_id: int, request: bytes) -> None:
        plc = self._plc
        if plc.delay_s > 0:
            loop = asyncio.get_running_loop()
            loop.call_later(plc.delay_s, self._reply, transaction, unit_id, request)
        else:
            self._reply(transaction, unit_id, request)

    def _reply(self, transaction: int, unit_id: int, request: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        pdu = self._plc.answer(unit_id, request)
        if pdu is not None:
            self._transport.write(_HEADER.pack(transaction, 0, len(pdu) + 1, unit_id) + pdu)
            self._plc.completed(unit_id, pdu, request)


def _exception(code: int, exception: int) -> bytes:
    return bytes((code | 0x80, exception))


def _bits(unit: Unit, code: int, first: int, count: int) -> bytes:
    if not 1 <= count <= MAX_BITS_PER_READ:
        return _exception(code, ILLEGAL_VALUE)
    if first + count > len(unit.bits):
        return _exception(code, ILLEGAL_ADDRESS)
    packed = np.packbits(unit.bits[first : first + count], bitorder="little").tobytes()
    return bytes((code, len(packed))) + packed
