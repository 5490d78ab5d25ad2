"""What a foreign master's traffic says: only answers whose question was heard, whole, and not in doubt."""

from __future__ import annotations

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.kit.decode import compile_plan
from drivers.kit.overhear import Heard, Notebook, Overhearing
from drivers.kit.rtu import LATE_TIMEOUTS, crc
from drivers.kit.scan import Point

MS = 1_000_000
TIMEOUT = 100 * MS


def framed(text: str) -> bytes:
    body = bytes.fromhex(text)
    return body + crc(body)


ASK = framed("01 03 00 0A 00 02")
ANSWER = framed("01 03 04 00 11 00 22")
HEARD = Heard(1, 3, 10, 2, bytes.fromhex("00110022"))


@given(st.integers(1, 17))
def test_question_and_answer_are_put_together_whatever_the_pieces(step: int) -> None:
    ear = Overhearing(TIMEOUT)
    stream = ASK + ANSWER
    heard = [
        one for at in range(0, len(stream), step) for one in ear.feed(stream[at : at + step], (at + 1) * MS)
    ]
    assert heard == [HEARD]
    assert ear.garbled == 0


def test_a_refusal_is_heard_as_one() -> None:
    ear = Overhearing(TIMEOUT)
    assert ear.feed(ASK + framed("01 83 02"), 0) == [HEARD._replace(data=b"")]


def test_an_answer_without_its_question_says_nothing() -> None:
    for wrong in (
        ANSWER,
        ASK + framed("02 03 04 00 11 00 22"),
        ASK + framed("01 04 04 00 11 00 22"),
        ASK + framed("01 03 02 00 11"),
        ASK + ANSWER[:-1] + b"\0",
        ASK + b"\0" + ANSWER,
        ASK[:-1] + b"\0" + ANSWER,
    ):
        assert Overhearing(TIMEOUT).feed(wrong, 0) == []


def test_writes_of_the_master_are_passed_over() -> None:
    ear = Overhearing(TIMEOUT)
    short = framed("01 06 00 01 00 03")
    long = framed("01 10 00 01 00 02 04 00 0A 01 02") + framed("01 10 00 01 00 02")
    assert ear.feed(short + short + ASK + ANSWER + long + ASK + ANSWER, 0) == [HEARD, HEARD]
    assert ear.garbled == 0


def test_noise_is_slipped_over() -> None:
    ear = Overhearing(TIMEOUT)
    assert ear.feed(b"\0\xff\x13" + ASK + ANSWER, 0) == [HEARD]
    assert ear.garbled == 1


def traffic(head: bytes, seconds: int = 15) -> list[tuple[int, list[int]]]:
    """A head in the noise, then a question and its answer every 600 ms: (when, what was told then)."""
    ear = Overhearing(1000 * MS)
    assert ear.feed(head, 0) == []
    told = []
    for k in range(seconds * 1000 // 600):
        at = (200 + 600 * k) * MS
        for after, frame in ((0, "05 03 00 00 00 01"), (50, f"05 03 02 {k:04x}")):
            found = ear.feed(framed(frame), at + after * MS)
            told += [(k, [int.from_bytes(heard.data, "big") for heard in found])] if found else []
    return told


def test_stray_bytes_that_look_like_a_long_write_keep_nothing_waiting() -> None:
    every = [(k, [k]) for k in range(25)]
    for head in (
        "07 10 00 00 00 01 FA",
        "07 10 00 00 00 7D FA",
        "07 0F 00 00 00 08 02",
        "07 10 00 00 00 00 00",
    ):
        assert traffic(bytes.fromhex(head)) == every


@given(st.integers(0, 246), st.sampled_from([15, 16]))
def test_what_was_held_up_behind_a_false_head_is_never_told_as_news(byte_count: int, function: int) -> None:
    items = 8 * byte_count if function == 15 else byte_count // 2
    told = traffic(bytes((7, function, 0, 0, *items.to_bytes(2, "big"), byte_count)))
    assert all(values == [k] for k, values in told)
    assert [k for k, _ in told][-3:] == [22, 23, 24]


def test_a_question_that_was_held_up_was_asked_when_it_came() -> None:
    ear = Overhearing(TIMEOUT)
    assert ear.feed(bytes.fromhex("07 10 00 00 00 05 0A") + ASK, 0) == []
    assert ear.feed(ANSWER[:3], 80 * MS) == []
    assert ear.feed(ANSWER[3:], 150 * MS) == [], "longer after it than the master waits"


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.binary(max_size=9), st.integers(1, 300)), max_size=40))
def test_what_is_told_was_asked_within_the_timeout_and_came_just_now(
    steps: list[tuple[int, bytes, int]],
) -> None:
    ear = Overhearing(TIMEOUT)
    asked: list[int] = []
    now = 0
    for number, (kind, noise, passed) in enumerate(steps):
        now += passed * MS
        if kind == 0:
            asked.append(now)
        data = (ASK, framed(f"01 03 04 00 00 {number:04x}"), noise, bytes.fromhex("01 10 00 00 00 05 0A"))[
            kind
        ]
        for heard in ear.feed(data, now):
            assert (kind, int.from_bytes(heard.data[2:], "big")) == (1, number)
            assert now - asked[-1] <= TIMEOUT


def test_a_unit_that_left_a_question_unanswered_is_in_doubt_for_a_while() -> None:
    ear = Overhearing(TIMEOUT)
    other = framed("02 03 00 00 00 01")
    assert ear.feed(ASK, 0) == []
    assert ear.feed(other + framed("02 03 02 00 07"), 50 * MS) == [Heard(2, 3, 0, 1, b"\0\7")]
    late_or_not = framed("01 03 00 14 00 02") + ANSWER
    assert ear.feed(late_or_not, 90 * MS) == [], "this may be the answer to the first question"
    fine_ns = 50 * MS + LATE_TIMEOUTS * TIMEOUT + 1
    assert ear.feed(late_or_not, fine_ns) == [HEARD._replace(start=20)]


def test_a_question_that_was_not_answered_in_time_is_forgotten() -> None:
    ear = Overhearing(TIMEOUT)
    assert ear.feed(ASK, 0) == []
    assert ear.feed(ANSWER, 2 * TIMEOUT) == []


@given(st.binary(max_size=400), st.integers(0, 2**32))
def test_random_bytes_never_break_it_and_it_stays_small(data: bytes, seed: int) -> None:
    dice, ear = random.Random(seed), Overhearing(TIMEOUT)
    at = 0
    while at < len(data):
        step = dice.randint(1, 40)
        ear.feed(data[at : at + step], at * MS)
        at += step
    assert len(ear._buffer) <= 1024
    assert ear.feed(ASK + ANSWER, 10 * TIMEOUT + len(data) * MS) == [HEARD]


POINTS = (
    Point("a", "FC03/10"),
    Point("wide", "FC03/11", type="uint32"),
    Point("coil", "FC01/9", type="bit"),
    Point("bit", "FC03/10", type="bit", bit=0),
)


def test_points_take_their_bytes_whole_from_one_answer() -> None:
    book = Notebook(POINTS, 1, range(4))
    decoder = compile_plan(POINTS, 1, book.blocks)
    book.begin(5)
    book.note(Heard(1, 3, 10, 2, bytes.fromhex("00110022")), 7)
    assert book.heard_ns.tolist() == [7, 5, 5, 7], "half of the wide one is not taken"
    book.note(Heard(1, 3, 10, 3, bytes.fromhex("001200010002")), 8)
    book.note(Heard(1, 1, 0, 16, bytes.fromhex("0002")), 9)
    book.note(Heard(2, 3, 10, 3, bytes.fromhex("FFFFFFFFFFFF")), 10)
    assert book.heard_ns.tolist() == [8, 8, 9, 8]
    assert book.newest_ns == 9
    assert decoder.decode(bytes(book.raw))[0].tolist() == [18, 65538, 1, 0]
    book.note(Heard(1, 3, 10, 1, b""), 11)
    assert book.refused.tolist() == [True, False, False, True]
    book.note(Heard(1, 3, 10, 1, b"\0\1"), 12)
    assert not book.refused.any()
