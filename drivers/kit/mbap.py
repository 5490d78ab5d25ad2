"""Decides what bytes from a Modbus TCP peer are: the awaited answer, a refusal, more to come, or nonsense. Pure.

Everything the protocol lets one check is checked, because Modbus TCP has no checksum: transaction,
protocol, length, unit, function code and byte count. Source: Modbus Messaging on TCP/IP V1.0b section 3.1.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from drivers.kit.planner import Block

HEADER_BYTES: Final = 7
"""Transaction (2), protocol (2), length (2), unit (1)."""
REQUEST_BYTES: Final = 12
"""Every reading request: header, function code, start (2), count (2)."""
MIN_LENGTH: Final = 3
MAX_LENGTH: Final = 254
"""Bounds of the length field: unit and PDU, of which the shortest is an exception, the longest 253 bytes."""
EXCEPTION_BIT: Final = 0x80


class GarbledError(Exception):
    """The peer sent what nobody asked for: the stream cannot be trusted any more."""


class Frame(NamedTuple):
    """One whole frame: its transaction, and its bytes with header."""

    transaction: int
    adu: bytes


def take_frame(buffer: bytes) -> tuple[Frame | None, bytes]:
    """Cut the first whole frame off a buffer; None while it is not whole. Returns what is left, too.

    Raises:
        GarbledError: what stands there cannot be the beginning of a frame.
    """
    if len(buffer) >= 4 and buffer[2:4] != b"\x00\x00":
        raise GarbledError(f"protocol identifier {buffer[2:4].hex()} instead of 0000")
    if len(buffer) < HEADER_BYTES - 1:
        return None, buffer
    length = int.from_bytes(buffer[4:6], "big")
    if not MIN_LENGTH <= length <= MAX_LENGTH:
        raise GarbledError(
            f"a frame of {length} bytes is announced, {MIN_LENGTH} to {MAX_LENGTH} are possible"
        )
    end = 6 + length
    if len(buffer) < end:
        return None, buffer
    return Frame(int.from_bytes(buffer[:2], "big"), buffer[:end]), buffer[end:]


def answer_start(block: Block) -> bytes:
    """What the right answer to a block's request starts with, behind the transaction identifier."""
    length = 3 + block.byte_count
    return (
        b"\x00\x00"
        + length.to_bytes(2, "big")
        + bytes((block.unit_id, block.function_code, block.byte_count))
    )


def exception_code(adu: bytes, block: Block) -> int:
    """The exception code of a frame that carries the right transaction but not the right answer.

    Raises:
        GarbledError: it is no exception to this block's request either; says what is wrong.
    """
    unit, function_code = adu[6], adu[7]
    if unit != block.unit_id:
        raise GarbledError(f"unit {unit} answered for unit {block.unit_id}")
    if function_code == block.function_code | EXCEPTION_BIT and len(adu) == HEADER_BYTES + 2 and adu[8]:
        return adu[8]
    if function_code != block.function_code:
        raise GarbledError(f"function code {function_code} answers function code {block.function_code}")
    raise GarbledError(
        f"{len(adu) - HEADER_BYTES - 2} data bytes (announced: {adu[8]}) instead of {block.byte_count}"
    )
