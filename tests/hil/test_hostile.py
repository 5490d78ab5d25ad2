"""Attacks: every kind there, none too long, the same dice give the same attack, the seals hold."""

from __future__ import annotations

import random
import struct

from hil.hostile import KINDS, MAX_BYTES, Truth, attack
from hil.strict import crc16


def announce(frame):
    return frame[:4] + struct.pack(">H", len(frame) - 6) + frame[6:]


def check(frame):
    return frame + crc16(frame).to_bytes(2, "little")


PDU = bytes((7, 3, 8)) + bytes(range(8))
TCP = Truth(announce(b"\0\1\0\0\0\0" + PDU), b"\0\0\0\0\0\3\7\3\0", 6, announce)
RTU = Truth(check(PDU), b"", 0, check)


def test_every_kind_comes_and_none_is_too_long():
    for truth in (TCP, RTU):
        dice = random.Random(1)
        made = [attack(dice, truth, (b"seed",)) for _ in range(4_000)]
        assert {one.kind for one in made} == set(KINDS)
        assert all(len(piece) <= MAX_BYTES for one in made for piece in one.pieces)


def test_the_same_dice_give_the_same_attack():
    first, second = ([attack(random.Random(seed), TCP, ()) for seed in range(200)] for _ in range(2))
    assert first == second


def test_a_longer_frame_is_right_about_its_length():
    dice = random.Random(2)
    for truth in (TCP, RTU):
        seen = 0
        while seen < 20:
            one = attack(dice, truth, ())
            if one.kind not in {"longer", "shorter"}:
                continue
            seen += 1
            (frame,) = one.pieces
            assert frame[truth.head + 2] == len(frame) - truth.head - 3 - (0 if truth.head else 2)
            assert frame != truth.answer
            if truth.head:
                assert int.from_bytes(frame[4:6], "big") == len(frame) - 6
            else:
                assert crc16(frame[:-2]) == int.from_bytes(frame[-2:], "little")


def test_a_seed_goes_behind_the_transaction():
    dice = random.Random(3)
    one = next(
        found for found in (attack(dice, TCP, (b"xyz",)) for _ in range(1_000)) if found.kind == "seed"
    )
    assert one.pieces == (b"\0\1xyz",)
