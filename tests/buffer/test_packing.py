"""Packing is storage only: the same bytes come back, damage is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from buffer.packing import zstd

STORE = zstd()


@given(st.binary(max_size=2_000))
def test_the_same_bytes_come_back(body):
    assert STORE.unpack(STORE.pack(body), len(body)) == body


def test_damage_is_a_value_error():
    packed = STORE.pack(b"level 4.2 m " * 50)
    for stored, size in ((packed[:-3], 600), (b"nonsense", 8), (packed, 599), (packed, 601), (b"", 4)):
        with pytest.raises(ValueError, match="stored bytes"):
            STORE.unpack(stored, size)
