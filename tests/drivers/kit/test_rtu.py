"""RTU frames and who may owe an answer: nothing foreign, torn or late is taken for the awaited one."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from drivers.kit.mbap import GarbledError
from drivers.kit.planner import Block
from drivers.kit.rtu import (
    LATE_TIMEOUTS,
    Conversation,
    Debts,
    Question,
    answer_length,
    crc,
    gap_ns,
    is_reading_request,
    sound,
)

MS = 1_000_000
TIMEOUT = 100 * MS


def framed(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc(body)


def question(unit: int = 1, start: int = 0, count: int = 2, code: int = 3) -> Question:
    request = bytes((unit, code)) + start.to_bytes(2, "big") + count.to_bytes(2, "big")
    return Question(Block(unit, code, start, count, (0,)), request + crc(request))


RIGHT = framed("01 03 04 00 11 00 22")
DATA = bytes.fromhex("00110022")


def talk() -> tuple[Conversation, Debts]:
    debts = Debts(TIMEOUT)
    return Conversation(debts), debts


@given(st.binary(min_size=1, max_size=255))
def test_the_crc_is_that_of_an_independent_library(data: bytes) -> None:
    assert crc(data) == FramerRTU.compute_CRC(data).to_bytes(2, "big")
    assert sound(data + crc(data))
    broken = bytearray(data + crc(data))
    broken[0] ^= 1
    assert not sound(bytes(broken))


def test_only_reading_requests_to_one_unit_are_reading_requests() -> None:
    assert is_reading_request(question().request)
    for code in (0, 5, 6, 8, 15, 16, 22, 23, 43, 0x83):
        assert not is_reading_request(question(code=code).request)
    assert not is_reading_request(question(unit=0).request)
    assert not is_reading_request(question(unit=248).request)
    assert not is_reading_request(question().request[:-1] + b"\0")
    assert not is_reading_request(question().request * 2)


def test_the_silence_between_frames_is_the_standards() -> None:
    assert gap_ns(9600, 11 / 9600) == round(3.5 * 11 / 9600 * 1e9)
    assert gap_ns(115_200, 11 / 115_200) == 1_750_000


def test_an_answers_length_follows_from_its_head() -> None:
    assert answer_length(b"\x01\x03\x04") == 9
    assert answer_length(b"\x01\x83\x02") == 5
    assert answer_length(b"\x01\x01\x03") == 8
    for head in (b"\x01\x03\x03", b"\x01\x03\x00", b"\x01\x06\x00", b"\x01\x10\x00"):
        assert answer_length(head) is None


@given(st.integers(1, 9))
def test_the_right_answer_is_taken_whatever_its_pieces(step: int) -> None:
    conversation, debts = talk()
    assert conversation.ask(question(), 0) == question().request
    pieces = [RIGHT[at : at + step] for at in range(0, len(RIGHT), step)]
    outcomes = [conversation.feed(piece, MS) for piece in pieces]
    assert outcomes == [None] * (len(pieces) - 1) + [DATA]
    assert not conversation.restless
    assert 1 not in debts


def test_a_refusal_gives_its_code() -> None:
    conversation, debts = talk()
    conversation.ask(question(), 0)
    assert conversation.feed(framed("01 83 02"), MS) == 2
    assert 1 not in debts


@pytest.mark.parametrize(
    "wrong",
    [
        framed("02 03 04 00 11 00 22"),  # another unit
        framed("01 04 04 00 11 00 22"),  # another function code
        framed("01 03 02 00 11"),  # fewer registers than asked
        framed("01 03 06 00 11 00 22 00 33"),  # more
        framed("01 84 02"),  # a refusal of something else
        framed("01 83 00"),  # no exception
        RIGHT[:-1] + b"\0",  # CRC
        RIGHT + b"\0",  # something behind it
        RIGHT + RIGHT,
        b"\0" + RIGHT,  # something before it
        question(start=9).request,  # another master's question
    ],
)
def test_anything_else_is_garbled(wrong: bytes) -> None:
    conversation, _ = talk()
    conversation.ask(question(), 0)
    with pytest.raises(GarbledError):
        conversation.feed(wrong, MS)
    assert conversation.restless, "the line must be silent before the next question"


def test_a_torn_answer_owes_nothing_but_nonsense_may_hide_one_that_comes() -> None:
    conversation, debts = talk()
    conversation.ask(question(), 0)
    with pytest.raises(GarbledError):
        conversation.feed(RIGHT[:-1] + b"\0", MS)
    assert 1 not in debts
    conversation.ask(question(), 0)
    with pytest.raises(GarbledError):
        conversation.feed(b"\xff\xff\xff", MS)
    assert 1 in debts


def test_a_converter_that_hears_itself_is_understood() -> None:
    conversation, _ = talk()
    request = conversation.ask(question(), 0)
    assert conversation.feed(request[:3], MS) is None
    assert conversation.feed(request[3:] + RIGHT[:2], MS) is None
    assert conversation.feed(RIGHT[2:], MS) == DATA


def test_a_late_answer_of_another_unit_is_counted_and_thrown_away() -> None:
    conversation, debts = talk()
    conversation.ask(question(2), 0)
    conversation.give_up()
    assert 2 in debts
    conversation.ask(question(), TIMEOUT)
    late = framed("02 03 04 00 99 00 99")
    assert conversation.feed(late + RIGHT, TIMEOUT + MS) == DATA
    assert conversation.late == 1
    assert 2 in debts, "it must be asked again before it is believed"


def test_stray_bytes_are_noise_a_foreign_master_or_a_unit_out_of_step() -> None:
    conversation, _ = talk()
    assert conversation.feed(b"\0\xff\0\xff", MS) is None
    assert conversation.restless
    with pytest.raises(GarbledError, match="another master"):
        conversation.feed(question(5).request, MS)
    conversation, _ = talk()
    with pytest.raises(GarbledError, match="without being asked"):
        conversation.feed(RIGHT, MS)


def test_a_unit_in_debt_is_believed_after_its_question_was_answered_and_it_stayed_silent() -> None:
    conversation, debts = talk()
    first = question(start=7)
    conversation.ask(first, 0)
    conversation.give_up()
    assert debts.question(1, TIMEOUT) is first
    assert debts.silent_until_ns(1, first.block) <= TIMEOUT
    another = debts.silent_until_ns(1, question(start=9).block)
    assert debts.question(1, another - 1) is first
    assert debts.question(1, another) is None, "what it may owe cannot come any more: another may be asked"
    conversation.ask(first, TIMEOUT)
    assert conversation.feed(RIGHT, TIMEOUT + 10 * MS) == DATA
    even = debts.silent_until_ns(1, first.block)
    assert even >= TIMEOUT + 10 * MS + TIMEOUT
    assert debts.forgive(even - 1) == ()
    assert debts.forgive(even) == (1,)
    assert 1 not in debts


def test_a_unit_that_answers_once_more_meanwhile_must_be_asked_again() -> None:
    conversation, debts = talk()
    conversation.ask(question(), 0)
    conversation.give_up()
    conversation.ask(question(), TIMEOUT)
    conversation.feed(RIGHT, TIMEOUT + 10 * MS)
    assert conversation.feed(RIGHT, TIMEOUT + 50 * MS) is None
    assert conversation.late == 1
    assert debts.silent_until_ns(1, question().block) == TIMEOUT + 50 * MS + LATE_TIMEOUTS * TIMEOUT
    assert debts.forgive(100 * TIMEOUT) == ()


def test_what_did_not_come_for_long_does_not_come_and_memory_stays_flat() -> None:
    conversation, debts = talk()
    for k in range(1000):
        conversation.ask(question(), k * TIMEOUT)
        conversation.give_up()
    assert len(debts._of[1].asked_ns) <= LATE_TIMEOUTS + 1
    assert debts.question(1, 1000 * TIMEOUT) is not None
    assert debts.question(1, (1000 + LATE_TIMEOUTS) * TIMEOUT) is None


class Slave:
    """Answers its questions in order, each after a delay of its own: the answer says which question it is to."""

    def __init__(self, delays: list[int]) -> None:
        self._delays = delays
        self._due: list[tuple[int, bytes]] = []
        self._free_ns = 0

    def take(self, start: int, now: int) -> None:
        delay = self._delays.pop(0) if self._delays else 0
        at = max(now, self._free_ns) + delay
        self._free_ns = at
        self._due.append((at, framed(f"01 03 04 {start:04x} {start + 1:04x}")))

    def said(self, now: int) -> bytes:
        out = b"".join(frame for at, frame in self._due if at <= now)
        self._due = [(at, frame) for at, frame in self._due if at > now]
        return out


@given(st.lists(st.integers(0, (LATE_TIMEOUTS - 1) * TIMEOUT), max_size=12), st.integers(0, 2**32))
def test_whatever_a_units_delays_no_answer_is_taken_for_another_questions(
    delays: list[int], seed: int
) -> None:
    """A master as the driver plays it, against a slave whose answers come late, up to the bound, in order."""
    dice = random.Random(seed)
    conversation, debts = talk()
    slave = Slave(list(delays))
    now = 0
    for _ in range(60):
        debts.forgive(now)
        owed = debts.question(1, now) if 1 in debts else None
        wished = owed if owed and dice.random() < 0.5 else question(start=dice.randrange(50) * 2)
        one = owed or wished
        used = 1 not in debts
        if used or debts.silent_until_ns(1, wished.block) <= now:
            slave.take(one.block.start, now)
            conversation.ask(one, now)
            until = now + TIMEOUT
            outcome = None
            while now < until and outcome is None:
                now += 5 * MS
                try:
                    outcome = conversation.feed(slave.said(now), now)
                except GarbledError:
                    break
            if outcome is None:
                conversation.give_up()
            elif used:
                assert outcome == bytes.fromhex(f"{one.block.start:04x}{one.block.start + 1:04x}")
        for _ in range(dice.randrange(30)):
            now += 5 * MS
            try:
                conversation.feed(slave.said(now), now)
            except GarbledError:
                now += TIMEOUT  # the driver opens the line anew and waits for silence
                slave.said(now)
