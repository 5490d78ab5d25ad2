"""What a broken, confused or malicious device sends instead of its answer. Pure: dice in, pieces of bytes out.

Every kind is a function of the dice and of what the device should have said; ``KINDS`` lists them.
"""

from __future__ import annotations

import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hil.strict import Question, crc16

MAX_BYTES: Final = 600
"""No attack is longer; the longest right answer has 260 bytes."""
CLOSE: Final = "close"
STAY: Final = "stay"

_TCP_REQUEST: Final = struct.Struct(">HHHBBHH")
_RTU_REQUEST: Final = struct.Struct(">BBHH")
REQUEST_BYTES: Final = {"tcp": _TCP_REQUEST.size, "rtu_over_tcp": _RTU_REQUEST.size + 2}
"""Of every request that reads, by transport."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What is sent.

    Attributes:
        kind: its name in ``KINDS``.
        pieces: written one after the other, each on its own.
        end: ``close`` hangs up afterwards, ``stay`` goes on as if nothing were.
    """

    kind: str
    pieces: tuple[bytes, ...]
    end: str = STAY


@dataclass(frozen=True, slots=True)
class Truth:
    """What the device should have said.

    Attributes:
        answer: the right frame.
        previous: the right answer to the question before it, b"" for none.
        head: bytes of it before unit identifier and function code (the transaction's, 0 for RTU).
        seal: puts length and checksum right again after a change: what makes an attack hard to tell.
    """

    answer: bytes
    previous: bytes
    head: int
    seal: Callable[[bytes], bytes]


def question_of(transport: str, request: bytes) -> Question:
    """What a request of ``REQUEST_BYTES`` asks for."""
    if transport == "tcp":
        transaction, _, _, unit, code, start, count = _TCP_REQUEST.unpack(request)
        return Question(transaction, unit, code, start, count)
    unit, code, start, count = _RTU_REQUEST.unpack(request[:-2])
    return Question(0, unit, code, start, count)


def truth_of(transport: str, question: Question, data: bytes, previous: bytes) -> Truth:
    """The right answer that carries this data.

    Args:
        transport: as the driver names it.
        question: what was asked.
        data: of the registers.
        previous: the right answer before this one.
    """
    pdu = bytes((question.unit, question.function_code, len(data))) + data
    if transport == "tcp":
        head = struct.pack(">HHH", question.transaction, 0, len(pdu))
        return Truth(head + pdu, previous, len(head), _announce)
    return Truth(_check(pdu), previous, 0, _check)


def _announce(frame: bytes) -> bytes:
    """The length field put right."""
    return frame[:4] + struct.pack(">H", len(frame) - 6) + frame[6:]


def _check(frame: bytes) -> bytes:
    """The checksum appended."""
    return frame + crc16(frame).to_bytes(2, "little")


def attack(dice: random.Random, truth: Truth, seeds: tuple[bytes, ...] = ()) -> Attack:
    """One attack, every kind as likely as another.

    Args:
        dice: decides.
        truth: what should have been said.
        seeds: attacks that a fuzzer found, sent as they are behind the right transaction identifier.
    """
    kind = dice.choice(KINDS)
    if kind == "seed":
        return Attack(kind, (truth.answer[: min(truth.head, 2)] + dice.choice(seeds or (b"\0",)),))
    pieces = _MAKERS[kind](dice, truth)
    end = CLOSE if kind == "cut" else STAY
    return Attack(kind, tuple(piece[:MAX_BYTES] for piece in pieces), end)


def _right(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    del dice
    return (truth.answer,)


def _random(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    del truth
    return (dice.randbytes(dice.randint(1, 300)),)


def _random_body(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    kept = dice.randint(truth.head, len(truth.answer) - 1)
    return (truth.answer[:kept] + dice.randbytes(dice.randint(0, 260)),)


def _cut(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (truth.answer[: dice.randrange(len(truth.answer))],)


def _flipped(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    changed = bytearray(truth.answer)
    for _ in range(dice.randint(1, 4)):
        changed[dice.randrange(len(changed))] ^= 1 << dice.randrange(8)
    return (bytes(changed),)


def _oversized(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (truth.answer + dice.randbytes(dice.randint(1, 250)),)


def _longer(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    """More data than asked for, and a frame that is right about it."""
    more = 2 * dice.randint(1, 20)
    return (truth.seal(_with_count(truth, more) + dice.randbytes(more)),)


def _shorter(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    data_bytes = len(_unsealed(truth)) - truth.head - 3
    less = 2 * dice.randint(1, max(1, data_bytes // 2))
    return (truth.seal(_with_count(truth, -less)[: -less or None]),)


def _foreign_transaction(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    if truth.head == 0:
        return _foreign_unit(dice, truth)
    return (dice.choice((b"\0\0", b"\0\1", dice.randbytes(2))) + truth.answer[2:],)


def _foreign_unit(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (_changed(truth, 0, dice.randrange(256)),)


def _foreign_function(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (_changed(truth, 1, dice.choice((1, 2, 3, 4, 5, 6, 15, 16, 23, 43, dice.randrange(256)))),)


def _wrong_count(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (_changed(truth, 2, dice.randrange(256)),)


def _exception(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    code = truth.answer[truth.head + 1] | 0x80
    body = truth.answer[: truth.head + 1] + bytes((code, dice.randrange(256)))
    return (truth.seal(body),)


def _stale(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    """The answer before this one again, alone or in front of the right one."""
    old = truth.previous or truth.answer
    return (old,) if dice.random() < 0.5 else (old, truth.answer)


def _twice(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    del dice
    return (truth.answer + truth.answer,)


def _behind_rubbish(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    return (dice.randbytes(dice.randint(1, 8)), truth.answer)


def _slowly(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    """Byte by byte, sometimes not to the end."""
    end = len(truth.answer) if dice.random() < 0.5 else dice.randrange(len(truth.answer))
    return tuple(truth.answer[k : k + 1] for k in range(end))


def _unreal(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    """A right frame full of NaN, infinities and fault values."""
    body = bytearray(_unsealed(truth))
    words = (
        b"\x7f\xc0\x00\x00",
        b"\x7f\x80\x00\x00",
        b"\xff\x80\x00\x00",
        b"\x80\x00\xff\xff",
        b"\x7f\x80\x00\x01",
    )
    for at in range(truth.head + 3, len(body) - 3, 4):
        body[at : at + 4] = dice.choice(words)
    return (truth.seal(bytes(body)),)


def _nothing(dice: random.Random, truth: Truth) -> tuple[bytes, ...]:
    del dice, truth
    return ()


def _unsealed(truth: Truth) -> bytes:
    """The answer without its checksum, which RTU has and TCP has not."""
    return truth.answer if truth.head else truth.answer[:-2]


def _with_count(truth: Truth, more: int) -> bytes:
    body = bytearray(_unsealed(truth))
    body[truth.head + 2] = max(0, min(255, body[truth.head + 2] + more))
    return bytes(body)


def _changed(truth: Truth, at: int, value: int) -> bytes:
    body = bytearray(_unsealed(truth))
    body[truth.head + at] = value
    return truth.seal(bytes(body))


_MAKERS: Final[dict[str, Callable[[random.Random, Truth], tuple[bytes, ...]]]] = {
    "right": _right,
    "random": _random,
    "random body": _random_body,
    "cut": _cut,
    "flipped": _flipped,
    "oversized": _oversized,
    "longer": _longer,
    "shorter": _shorter,
    "foreign transaction": _foreign_transaction,
    "foreign unit": _foreign_unit,
    "foreign function": _foreign_function,
    "wrong count": _wrong_count,
    "exception": _exception,
    "stale": _stale,
    "twice": _twice,
    "behind rubbish": _behind_rubbish,
    "slowly": _slowly,
    "unreal": _unreal,
    "nothing": _nothing,
}
KINDS: Final = (*_MAKERS, "seed")
