import hashlib

from buffer.record import LANES, leaf_hash, record_key


def test_a_leaf_is_hashed_with_a_zero_byte_before_it():
    """RFC 6962 section 2.1; the empty leaf's hash is in every published test vector."""
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert leaf_hash(b"x") == hashlib.sha256(b"\x00x").digest()


def test_a_key_names_gateway_spool_lane_and_number():
    assert LANES == ("alarm", "reading", "snapshot", "journal")
    assert record_key("gw", "ab12", "alarm", 7) == "gw/ab12/alarm/7"
