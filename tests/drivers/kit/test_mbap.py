"""Framing: whole frames whatever the pieces, and nothing foreign is taken for an answer."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.mbap import GarbledError, answer_start, exception_code, take_frame
from drivers.kit.planner import Block

BLOCK = Block(1, 3, 0, 2, (0, 1))


def frame(transaction: int, unit: int, pdu: bytes) -> bytes:
    return struct.pack(">HHHB", transaction, 0, len(pdu) + 1, unit) + pdu


@given(st.lists(st.binary(min_size=2, max_size=253), max_size=5), st.integers(1, 40))
def test_frames_come_out_the_same_whatever_the_pieces(pdus: list[bytes], step: int) -> None:
    stream = b"".join(frame(k, 1, pdu) for k, pdu in enumerate(pdus))
    seen, buffer = [], b""
    for at in range(0, len(stream), step):
        buffer += stream[at : at + step]
        while True:
            one, buffer = take_frame(buffer)
            if one is None:
                break
            seen.append((one.transaction, one.adu[7:]))
    assert seen == list(enumerate(pdus))
    assert buffer == b""


@given(st.binary(max_size=600))
def test_random_bytes_are_a_frame_more_to_come_or_garbled_and_nothing_is_lost(data: bytes) -> None:
    try:
        one, rest = take_frame(data)
    except GarbledError:
        return
    assert (one.adu if one else b"") + rest == data


def test_the_right_answer_starts_as_announced() -> None:
    right = frame(9, 1, b"\x03\x04\x00\x01\x00\x02")
    assert right[2:9] == answer_start(BLOCK)


def test_an_exception_gives_its_code() -> None:
    assert exception_code(frame(1, 1, b"\x83\x02"), BLOCK) == 2


@pytest.mark.parametrize(
    "adu",
    [
        frame(1, 2, b"\x03\x04\x00\x01\x00\x02"),  # another unit
        frame(1, 1, b"\x04\x04\x00\x01\x00\x02"),  # another function code
        frame(1, 1, b"\x03\x02\x00\x01"),  # fewer registers than asked
        frame(1, 1, b"\x03\x04\x00\x01"),  # byte count lies
        frame(1, 1, b"\x84\x02"),  # exception to another function code
        frame(1, 1, b"\x83\x00"),  # exception without a code
        frame(1, 1, b"\x83\x02\x00"),  # exception with a tail
    ],
)
def test_what_is_not_the_answer_is_garbled(adu: bytes) -> None:
    with pytest.raises(GarbledError):
        exception_code(adu, BLOCK)
