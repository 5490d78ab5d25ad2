"""The judge of the hostile scenario: what it holds valid, and what not."""

from __future__ import annotations

import struct

import pytest

from hil.strict import Question, RtuReader, TcpReader, crc16, is_jpeg

QUESTION = Question(9, 7, 3, 0, 2)
DATA = b"\x01\x02\x03\x04"


def tcp(transaction=9, unit=7, code=3, data=DATA, announced=None, protocol=0):
    pdu = bytes((code, len(data) if announced is None else announced)) + data
    return struct.pack(">HHHB", transaction, protocol, len(pdu) + 1, unit) + pdu


def rtu(unit=7, code=3, data=DATA):
    body = bytes((unit, code, len(data))) + data
    return body + crc16(body).to_bytes(2, "little")


def asked(reader):
    reader.asked(QUESTION)
    return reader


def test_crc_of_the_specification_s_example():
    assert crc16(bytes.fromhex("0207")) == 0x1241


def test_tcp_the_right_answer_whole_or_in_pieces():
    for cut in range(len(tcp()) + 1):
        reader = asked(TcpReader())
        reader.sent(tcp()[:cut])
        assert reader.valid == (DATA if cut == len(tcp()) else None)
        reader.sent(tcp()[cut:])
        assert reader.valid == DATA


@pytest.mark.parametrize(
    "wrong",
    [
        tcp(transaction=8),
        tcp(unit=6),
        tcp(code=4),
        tcp(data=DATA[:2]),
        tcp(data=DATA + DATA),
        tcp(announced=2),
        tcp(protocol=1),
        b"rubbish" + tcp(),
    ],
)
def test_tcp_anything_else_is_invalid_and_the_connection_with_it(wrong):
    reader = asked(TcpReader())
    reader.sent(wrong)
    assert reader.valid is None
    reader.asked(Question(10, 7, 3, 0, 2))
    reader.sent(tcp(transaction=10))
    assert reader.valid is None


def test_tcp_a_late_answer_is_skipped_and_an_exception_is_no_value():
    reader = asked(TcpReader())
    reader.asked(Question(10, 7, 3, 0, 2))
    reader.sent(tcp(transaction=9, data=b"\xff" * 4) + tcp(transaction=10))
    assert reader.valid == DATA
    reader = asked(TcpReader())
    reader.sent(struct.pack(">HHHBBB", 9, 0, 3, 7, 0x83, 2))
    assert reader.valid is None
    reader.asked(Question(10, 7, 3, 0, 2))
    reader.sent(tcp(transaction=10))
    assert reader.valid == DATA


def test_rtu_only_the_right_frame_from_the_first_byte_on():
    reader = asked(RtuReader())
    for byte in rtu():
        reader.sent(bytes((byte,)))
    assert reader.valid == DATA
    for wrong in (rtu(unit=6), rtu(code=4), rtu()[:-1] + b"\0", b"\0" + rtu(), rtu(data=DATA[:2])):
        reader = asked(RtuReader())
        reader.sent(wrong)
        assert reader.valid is None


def test_jpeg_from_its_first_marker_to_its_last():
    frame = b"\xff\xc0\x00\x04ab"
    scan = b"\xff\xda\x00\x03xdata"
    assert is_jpeg(b"\xff\xd8" + frame + scan + b"\xff\xd9")
    assert not is_jpeg(b"\xff\xd8" + frame + scan)
    assert not is_jpeg(b"\xff\xd8" + scan + b"\xff\xd9")
    assert not is_jpeg(b"\xff\xd8" + frame + b"\xff\xd9")
    assert not is_jpeg(b"")
