"""What comes down is an order only if every byte of it says so; anything else is one typed refusal, never more."""

import base64
import json
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway.uplink.order import (
    KEYS,
    MAX_PAYLOAD_BYTES,
    MAX_TEXT,
    Order,
    OrderRefusedError,
    content_of,
    parse,
    read_content,
    sign,
    topic,
)

KEY = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
KEYS_KNOWN = (KEY.public_key(),)
TO = "site/gw"
ISSUED_NS = 1_795_318_260_123_000_000
WARNING = Order(
    recipient="province",
    to=TO,
    id="W-2026.11_1",
    kind="warning",
    colour="yellow",
    title="1号罐液位高　黄色预警",
    text="请核查。\nCheck the tank.",
    points=("LT-101", "370300123456"),
    issued_ns=ISSUED_NS,
    answer_by_ns=ISSUED_NS + 3600 * 10**9,
)
CANCEL = Order("province", TO, "C-1", "cancel", "", "", "已解除", (), ISSUED_NS, cancels="W-2026.11_1")
NOW_NAMED = topic(TO, "province", WARNING.id)


def read(payload, at=NOW_NAMED, recipient="province", to=TO, keys=KEYS_KNOWN):
    return parse(at, payload, recipient, to, keys)


def signed(**fields):
    """A content with other fields, truly signed."""
    content = {**json.loads(content_of(WARNING)), **fields}
    return sign(json.dumps(content).encode(), KEY)


@pytest.mark.parametrize(
    "order",
    [
        WARNING,
        CANCEL,
        replace(WARNING, kind="order", colour="", answer_by_ns=None, points=(), text=""),
        replace(WARNING, kind="order", colour="red"),
    ],
)
def test_what_was_sent_is_what_is_read(order):
    found = read(sign(content_of(order), KEY), topic(TO, "province", order.id))
    assert replace(found, digest="") == order
    assert len(found.digest) == 64


def test_an_authority_may_have_two_keys_while_it_changes_them():
    assert read(sign(content_of(WARNING), KEY), keys=(OTHER.public_key(), KEY.public_key())).id == WARNING.id


def refused(payload, **more):
    with pytest.raises(OrderRefusedError) as e:
        read(payload, **more)
    return str(e.value)


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        ({"recipient": "bureau"}, "another recipient"),
        ({"to": "site/gw2"}, "another gateway"),
        ({"id": "W-2"}, "topic"),
        ({"id": "../x"}, "id"),
        ({"id": "W/1"}, "id"),
        ({"id": "+"}, "id"),
        ({"id": ""}, "id"),
        ({"id": "a" * 65}, "id"),
        ({"id": 7}, "id"),
        ({"kind": "write"}, "kind"),
        ({"kind": ["warning"]}, "kind"),
        ({"kind": "cancel"}, "colour"),
        ({"kind": "cancel", "colour": None, "answer_by": None, "points": []}, "cancels"),
        ({"cancels": "W-0"}, "cancels"),
        ({"colour": "green"}, "colour"),
        ({"colour": ["red"]}, "colour"),
        ({"colour": None}, "colour"),
        ({"colour": ""}, "colour"),
        ({"title": ""}, "title"),
        ({"title": "  "}, "title"),
        ({"title": "x" * 101}, "title"),
        ({"title": "two\nlines"}, "title"),
        ({"title": None}, "title"),
        ({"text": "x" * (MAX_TEXT + 1)}, "text"),
        ({"text": "red\x1b[31m"}, "text"),
        ({"text": "turned \u202e round"}, "text"),
        ({"text": "line\u2028separator"}, "text"),
        ({"text": "zero\u200bwidth"}, "text"),
        ({"points": "LT-101"}, "points"),
        ({"points": ["x"] * 51}, "points"),
        ({"points": [{"LT-101": {"hh": 99}}]}, "points"),
        ({"points": [""]}, "points"),
        ({"issued_at": "2026-11-22 03:31:00Z"}, "times"),
        ({"issued_at": "2026-02-30T03:31:00Z"}, "times"),
        ({"issued_at": "2026-11-22T03:31:00+08:00"}, "times"),
        ({"issued_at": "٢٠٢٦-11-22T03:31:00Z"}, "times"),
        ({"issued_at": 1_795_318_260}, "times"),
        ({"answer_by": "2026-01-01T00:00:00Z"}, "answer_by"),
        ({"answer_by": "2036-01-01T00:00:00Z"}, "answer_by"),
        ({"schema": "plantgate/2"}, "fields"),
        ({"limit": {"LT-101": {"hh": 99}}}, "fields"),
    ],
)
def test_a_signed_message_that_is_not_exactly_an_order_is_refused(fields, word):
    assert word in refused(signed(**fields))


def test_every_field_must_be_there():
    content = json.loads(content_of(WARNING))
    for key in KEYS:
        short = {name: value for name, value in content.items() if name != key}
        assert "fields" in refused(sign(json.dumps(short).encode(), KEY))


def test_a_cancellation_says_nothing_else_and_does_not_cancel_itself():
    base = json.loads(content_of(CANCEL))
    at = topic(TO, "province", "C-1")
    for more in (
        {"points": ["LT-1"]},
        {"colour": "red"},
        {"answer_by": "2026-12-30T00:00:00Z"},
        {"cancels": "C-1"},
    ):
        refused(sign(json.dumps({**base, **more}).encode(), KEY), at=at)
    assert read(sign(json.dumps(base).encode(), KEY), at=at).cancels == WARNING.id


def test_another_channel_another_key_or_another_topic():
    payload = sign(content_of(WARNING), KEY)
    assert "signature" in refused(sign(content_of(WARNING), OTHER))
    assert "signature" in refused(payload, keys=())
    assert "another recipient" in refused(payload, recipient="bureau")
    assert "another gateway" in refused(payload, to="site/gw2")
    assert "topic" in refused(payload, at=topic(TO, "bureau", WARNING.id))


def test_a_signature_with_another_hash_or_over_the_envelope_is_none():
    content = content_of(WARNING)
    weak = KEY.sign(content, ec.ECDSA(hashes.SHA1()))
    envelope = json.loads(sign(content, KEY))
    for signature in (
        weak,
        b"",
        b"\x00" * 70,
        KEY.sign(envelope["content"].encode(), ec.ECDSA(hashes.SHA256())),
    ):
        refused(json.dumps({**envelope, "signature": base64.b64encode(signature).decode()}).encode())


def test_sizes_are_looked_at_before_anything_else():
    assert "bytes" in refused(b" " * (MAX_PAYLOAD_BYTES + 1))
    longest = replace(WARNING, title="㐀" * 100, text="𠀀" * MAX_TEXT, points=("𠀀" * 64,) * 50)
    payload = sign(content_of(longest), KEY)
    assert len(payload) <= MAX_PAYLOAD_BYTES
    assert read(payload).text == longest.text


def accepted(payload, at=NOW_NAMED):
    try:
        return read(payload, at)
    except OrderRefusedError:
        return None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300))
@example(b"[" * 5000)
@example(b'{"schema":"plantgate/1","content":"\xff","signature":""}')
def test_noise_is_refused(noise):
    assert accepted(noise) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["schema", "content", "signature", "more"]), JSON, max_size=4))
def test_an_envelope_of_anything_is_refused(envelope):
    assert accepted(json.dumps({"schema": "plantgate/1", **envelope}).encode()) is None


@settings(max_examples=400, deadline=None)
@given(st.dictionaries(st.sampled_from([*sorted(KEYS), "limit", "write"]), JSON, min_size=1, max_size=3))
def test_whatever_a_signed_content_holds_comes_out_as_it_is_or_not_at_all(fields):
    content = {**json.loads(content_of(WARNING)), **fields}
    found = accepted(sign(json.dumps(content).encode(), KEY))
    if found is not None:
        again = json.loads(content_of(found))
        assert {name: again[name] for name in fields if not name.endswith(("_at", "_by"))} == {
            name: value for name, value in fields.items() if not name.endswith(("_at", "_by"))
        }


PAYLOAD = sign(content_of(WARNING), KEY)


@settings(max_examples=500, deadline=None)
@given(st.integers(0, len(PAYLOAD) - 1), st.integers(1, 255), st.booleans())
def test_one_changed_byte_never_makes_another_order(place, by, cut):
    """It may still be the same order (base64 has bits to spare at its end), but never another one."""
    changed = (
        PAYLOAD[:place] if cut else PAYLOAD[:place] + bytes([PAYLOAD[place] ^ by]) + PAYLOAD[place + 1 :]
    )
    found = accepted(changed)
    assert found is None or found == read(PAYLOAD)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200))
def test_signed_noise_is_refused(noise):
    assert accepted(sign(noise, KEY)) is None
    with pytest.raises(OrderRefusedError):
        read_content(noise)
