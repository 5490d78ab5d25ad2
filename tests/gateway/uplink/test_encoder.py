import pytest

from buffer.record import Record, leaf_hash
from gateway.uplink.encoder import MEMO_MESSAGES, Encoder
from gateway.uplink.message import Context, DialectError


@pytest.fixture
def encoder(lab):
    return Encoder("plantgate/1", Context("g", "s", "spool", "volatile", lambda *_: lab.NAMES))


def record(lab, seq):
    draft = lab.reading(seq)
    return Record("reading", seq, draft.created_ns, draft.body, leaf_hash(draft.body))


def test_two_recipients_get_one_encoding(lab, encoder):
    first = encoder.message(record(lab, 1), "live")
    assert encoder.message(record(lab, 1), "live") is first
    assert encoder.message(record(lab, 1), "backfill") is not first


def test_memory_is_bounded(lab, encoder):
    for seq in range(1, 20):
        encoder.message(record(lab, seq), "live")
    assert len(encoder._memo) == MEMO_MESSAGES


def test_not_durable_never_meets_durable(lab, encoder):
    draft = lab.item("alarm", 1)
    alarm = Record("alarm", 1, draft.created_ns, draft.body, leaf_hash(draft.body))
    durable = encoder.message(alarm, "live")
    memory = encoder.message(alarm, "live", durable=False)
    assert (durable.key, memory.key) == ("g/spool/alarm/1", "g/volatile/alarm/1")
    assert encoder.message(alarm, "live") is durable


def test_bytes_that_are_no_record(encoder):
    with pytest.raises(DialectError, match="reading/1"):
        encoder.message(Record("reading", 1, 0, b"garbage", b""), "live")
