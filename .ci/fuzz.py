"""Coverage-guided search for attacks on the pure judges of Modbus answers and JPEG files; run by ``make fuzz``.

A target feeds the driver's judge and an independent strict reader (``hil.strict``) with the same bytes: what the
driver believes the strict reader must hold valid. libFuzzer keeps every input that reaches a new place; what is new
among the Modbus inputs goes to ``hil/scenarios/hostile.hex``, where the scenario ``hostile`` and its test replay it.

    python .ci/fuzz.py TARGET CORPUS_FOLDER SECONDS
"""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["drivers.kit"]):
    from drivers.kit import jpeg, mbap, overhear, rtu
    from drivers.kit.planner import plan
    from drivers.kit.scan import Point

from drivers.modbus import encode_request
from hil import strict

UNIT, COUNT = 7, 12
(BLOCK,) = plan((Point("a", "40001", type="uint16"), Point("b", f"4{COUNT:04d}")), UNIT, max_gap=COUNT)


def tcp(data: bytes) -> None:
    """Bytes behind the transaction identifier; the first byte says where the stream is cut."""
    conversation, reader = mbap.Conversation(), strict.TcpReader()
    request = conversation.ask(mbap.Question(BLOCK, encode_request(BLOCK)[2:]))
    transaction, _, _, unit, code, start, count = struct.unpack(">HHHBBHH", request)
    reader.asked(strict.Question(transaction, unit, code, start, count))
    stream = request[:2] + data
    cut = data[0] % len(stream) if data else 0
    for piece in (stream[:cut], stream[cut:]):
        if not piece:
            continue
        reader.sent(piece)
        try:
            outcome = conversation.feed(piece)
        except mbap.GarbledError:
            return
        assert not isinstance(outcome, bytes) or outcome == reader.valid, "believed what is invalid"


def rtu_line(data: bytes) -> None:
    """Bytes of a unit's answer, in two pieces."""
    request = rtu_request(3, 0, COUNT)
    conversation, reader = rtu.Conversation(rtu.Debts(10**9)), strict.RtuReader()
    conversation.ask(rtu.Question(BLOCK, request), 0)
    reader.asked(strict.Question(0, UNIT, 3, 0, COUNT))
    cut = data[0] % len(data) if data else 0
    for now_ns, piece in enumerate((data[:cut], data[cut:])):
        if not piece:
            continue
        reader.sent(piece)
        try:
            outcome = conversation.feed(piece, now_ns)
        except mbap.GarbledError:
            return
        # A converter may echo the request first; that is no attack.
        assert not isinstance(outcome, bytes) or outcome == reader.valid or request in data, (
            "believed what is invalid"
        )


def foreign_master(data: bytes) -> None:
    """A line with anything on it: what is believed must stand there, question before answer, both sound."""
    heard = overhear.Overhearing(10**9).feed(data, 0)
    for one in heard:
        asked = data.find(rtu_request(one.function_code, one.start, one.items, one.unit_id))
        body = bytes((one.unit_id, one.function_code, len(one.data))) + one.data
        answer = body + strict.crc16(body).to_bytes(2, "little")
        assert asked >= 0, "heard a question nobody asked"
        assert not one.data or (len(one.data) == one.byte_count and answer in data[asked + 8 :]), (
            "made up an answer"
        )


def rtu_request(code: int, start: int, count: int, unit: int = UNIT) -> bytes:
    """A reading request as it goes over the line."""
    body = struct.pack(">BBHH", unit, code, start, count)
    return body + strict.crc16(body).to_bytes(2, "little")


def picture(data: bytes) -> None:
    """A whole file."""
    try:
        jpeg.check_whole(data)
    except jpeg.JpegError:
        return
    assert strict.is_jpeg(data), "believed what is no JPEG"


TARGETS = {"tcp": tcp, "rtu": rtu_line, "overhear": foreign_master, "picture": picture}

if __name__ == "__main__":
    name, corpus, seconds = sys.argv[1:]
    # A fuzzer does not guess a checksum: it begins from what is right.
    body = bytes((UNIT, 3, 2 * COUNT)) + bytes(2 * COUNT)
    answer = body + strict.crc16(body).to_bytes(2, "little")
    right = {
        "tcp": b"\0\0" + struct.pack(">H", len(body)) + body,
        "rtu": answer,
        "overhear": rtu_request(3, 0, COUNT) + answer,
        "picture": b"\xff\xd8\xff\xc0\0\4ab\xff\xda\0\3xdata\xff\xd9",
    }
    Path(corpus, "right").write_bytes(right[name])
    flags = [f"-max_total_time={seconds}", "-max_len=280", "-print_final_stats=1", "-seed=8"]
    atheris.Setup([sys.argv[0], *flags, corpus], TARGETS[name])
    atheris.Fuzz()
