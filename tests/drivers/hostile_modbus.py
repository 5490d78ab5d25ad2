"""A Modbus TCP peer that misbehaves on command, and a recorder of what reached it. Its own parser, no library."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

REQUEST = struct.Struct(">HHHBBHH")


@dataclass
class Asked:
    transaction: int
    unit: int
    function_code: int
    start: int
    count: int

    def answer(self, memory: Callable[[int], int], *, transaction: int | None = None) -> bytes:
        words = [memory(self.start + k) for k in range(self.count)]
        if self.function_code <= 2:
            data = bytearray((self.count + 7) // 8)
            for k, word in enumerate(words):
                data[k // 8] |= (word & 1) << k % 8
        else:
            data = bytearray(struct.pack(f">{self.count}H", *words))
        pdu = bytes((self.function_code, len(data))) + bytes(data)
        return self.frame(pdu, transaction=transaction)

    def refuse(self, code: int) -> bytes:
        return self.frame(bytes((self.function_code | 0x80, code)))

    def frame(self, pdu: bytes, *, transaction: int | None = None, unit: int | None = None) -> bytes:
        return (
            struct.pack(
                ">HHHB",
                self.transaction if transaction is None else transaction,
                0,
                len(pdu) + 1,
                self.unit if unit is None else unit,
            )
            + pdu
        )


Behaviour = Callable[[Asked, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class Peer:
    """``behave`` answers every request; ``asked`` is everything that arrived."""

    behave: Behaviour
    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: int = 0
    trailing: bytes = b""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                raw = await reader.readexactly(REQUEST.size)
                transaction, protocol, length, unit, code, start, count = REQUEST.unpack(raw)
                assert (protocol, length) == (0, 6), f"not a reading request: {raw.hex()}"
                asked = Asked(transaction, unit, code, start, count)
                self.asked.append(asked)
                await self.behave(asked, writer)
        except asyncio.IncompleteReadError as end:
            self.trailing += end.partial
        except OSError:
            pass
        finally:
            writer.transport.abort()


@asynccontextmanager
async def peer(behave: Behaviour) -> AsyncIterator[Peer]:
    one = Peer(behave)
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        with suppress(asyncio.CancelledError):
            await one.serve(reader, writer)
        tasks.discard(task)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    one.port = server.sockets[0].getsockname()[1]
    try:
        yield one
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def identity(offset: int) -> int:
    return offset & 0xFFFF


async def right(asked: Asked, writer: asyncio.StreamWriter) -> None:
    """What a healthy device does: register n holds n."""
    writer.write(asked.answer(identity))
