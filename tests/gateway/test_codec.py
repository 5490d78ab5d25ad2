import hashlib
from dataclasses import replace

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.scan import Scan
from gateway.codec import CodecError, decode, encode_item, encode_samples, exact_bytes
from gateway.instant import ClockState

CLOCK = ClockState("synchronised", 1.5)


def scan(device="plc1", n=3, *, source=False, raw=b"", taken_ns=1_790_000_000_000_000_000):
    return Scan(
        device=device,
        config_rev="rev",
        points=np.arange(n, dtype=np.uint16),
        values=np.linspace(0, 1, n),
        quality=np.full(n, 3, dtype=np.uint8),
        taken_ns=taken_ns,
        taken_mono_ns=0,
        source_ns=np.arange(n, dtype=np.int64) if source else None,
        raw=raw,
    )


def test_canonical_bytes_never_change():
    """A golden hash: PGR1 is what inspectors will check for years."""
    body = encode_samples([scan(), scan("opc", 2, source=True, raw=b"\x01\x02")], CLOCK, "rev", keep_raw=True)
    assert body[:4] == b"PGR1"
    assert hashlib.sha256(body).hexdigest() == GOLDEN_SAMPLES
    item = encode_item("alarm", {"b": 1, "a": "罐"}, CLOCK, "rev")
    assert hashlib.sha256(item).hexdigest() == GOLDEN_ITEM


GOLDEN_SAMPLES = "2faa14e5ec01b2b4ba7a66e40db8aceaf399970ad51d8f10002cd0e40ca4da1a"
GOLDEN_ITEM = "21a005e327bfeea4f8d08faab8b9d72ded84bd01feaec8cfc17e6b2149dafaee"


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=8).filter(lambda s: s.isprintable()),
            st.lists(
                st.tuples(st.floats(width=64), st.integers(0, 255), st.integers(-(2**62), 2**62)),
                min_size=1,
                max_size=20,
            ),
            st.booleans(),
            st.binary(max_size=20),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_every_bit_comes_back(devices):
    scans = [
        Scan(
            device=name,
            config_rev="r",
            points=np.arange(len(rows), dtype=np.uint16),
            values=np.array([row[0] for row in rows]),
            quality=np.array([row[1] for row in rows], dtype=np.uint8),
            taken_ns=7,
            taken_mono_ns=0,
            source_ns=np.array([row[2] for row in rows], dtype=np.int64) if sourced else None,
            raw=raw,
        )
        for name, rows, sourced, raw in devices
    ]
    body = decode(encode_samples(scans, CLOCK, "r", keep_raw=True))
    assert body.kind == "sample"
    for was, back in zip(scans, body.scans, strict=True):
        assert back.device == was.device
        assert back.points.tobytes() == was.points.tobytes()
        assert back.values.tobytes() == was.values.tobytes()
        assert back.quality.tobytes() == was.quality.tobytes()
        assert back.raw == was.raw
        assert (back.source_ns is None) == (was.source_ns is None)
        if was.source_ns is not None:
            assert back.source_ns.tolist() == was.source_ns.tolist()


def test_what_is_neither_exact_nor_history_leaves_no_trace_of_either():
    header = decode(encode_samples([scan()], CLOCK, "rev")).header
    assert {"exact", "history"}.isdisjoint(header)


@given(
    st.lists(
        st.tuples(
            st.dictionaries(
                st.integers(0, 4), st.one_of(st.integers(-(2**63), 2**64 - 1), st.text(max_size=9))
            ),
            st.booleans(),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_texts_long_whole_numbers_and_history_come_back(many):
    scans = [replace(scan(n=5), exact=exact or None, history=history) for exact, history in many]
    back = decode(encode_samples(scans, CLOCK, "rev")).scans
    assert [one.history for one in back] == [history for _, history in many]
    for (exact, _), one in zip(many, back, strict=True):
        told = {
            k: v.encode("utf-8", "replace").decode() if isinstance(v, str) else v for k, v in exact.items()
        }
        assert (one.exact or {}) == told


def test_the_bytes_of_exact_values_and_history_never_change():
    body = encode_samples(
        [replace(scan(n=12), exact={10: "V1.2 罐", 2: 2**64 - 1}), replace(scan(n=2), history=True)],
        CLOCK,
        "rev",
    )
    header = orjson.loads(body[8 : 8 + int.from_bytes(body[4:8], "little")])
    assert header["exact"] == [{"2": 18_446_744_073_709_551_615, "10": "V1.2 罐"}, {}]
    assert header["history"] == [0, 1]
    assert hashlib.sha256(body).hexdigest() == GOLDEN_EXACT


GOLDEN_EXACT = "c1009907ff99d33dc482c79b5c3d646e18c4103f8c0e780f5da44c770a8ed01e"


def test_a_text_that_would_burst_the_header_is_cut():
    exact = decode(encode_samples([replace(scan(), exact={0: "\x01" * 20_000})], CLOCK, "rev")).scans[0].exact
    assert exact == {0: "\x01" * 10_000}
    assert exact_bytes({0: "\x01" * 20_000}) == 60_032


def test_raw_is_left_out_unless_asked_for():
    assert decode(encode_samples([scan(raw=b"xx")], CLOCK, "rev")).scans[0].raw == b""


def test_an_item_comes_back_with_its_header():
    body = decode(encode_item("gap", {"cause": "quota"}, CLOCK, "rev"))
    assert body.kind == "gap"
    assert body.header["item"] == {"cause": "quota"}
    assert body.header["clock"] == {"state": "synchronised", "error_ms": 1.5}


def test_no_scan_is_no_record():
    with pytest.raises(ValueError, match="at least one scan"):
        encode_samples([], CLOCK, "rev")


def test_every_truncation_and_every_extension_is_refused():
    body = encode_samples([scan(source=True)], CLOCK, "rev")
    for cut in range(len(body)):
        with pytest.raises(CodecError):
            decode(body[:cut])
    with pytest.raises(CodecError):
        decode(body + b"\0")


@given(st.binary(max_size=200))
def test_random_bytes_are_refused_and_nothing_else(noise):
    with pytest.raises(CodecError):
        decode(noise)
    with pytest.raises(CodecError):
        decode(b"PGR1" + noise)


@pytest.mark.parametrize(
    "change",
    [{"rows": [-1, 4]}, {"rows": "no"}, {"rows": [3, 3]}, {"source": [1]}, {"raw": [-5]}, {"kind": 1}]
    + [
        {"exact": exact}
        for exact in ([], [3], [{"3": 1}], [{"-1": 1}], [{"a": 1}], [{"0": 1.5}], [{"0": True}])
    ]
    + [{"history": []}, {"history": 1}],
)
def test_a_lying_header_is_refused(change):
    body = encode_samples([scan()], CLOCK, "rev")
    length = int.from_bytes(body[4:8], "little")
    header = orjson.dumps({**orjson.loads(body[8 : 8 + length]), **change}, option=orjson.OPT_SORT_KEYS)
    with pytest.raises(CodecError):
        decode(b"PGR1" + len(header).to_bytes(4, "little") + header + body[8 + length :])
