"""What is left of a run to judge the demo by, gathered from a real one."""

import orjson

from hil.farm import SIREN_FILE, tag_of
from hil.gathered import evidence_of

LEVEL = tag_of(0, 0)


def test_a_real_run_leaves_its_evidence(finished):
    site = finished[0]
    found = evidence_of(site, site.folder / SIREN_FILE, [], {"province": {"p"}, "bureau": set()}, {LEVEL})
    assert found.received["province"].pictures == {"p"}
    assert found.received["bureau"].of("start")
    for got in found.received.values():
        assert set(got.values) == {LEVEL}
        assert sum(one.good for one in got.values[LEVEL]) >= 2
        assert got.alarms == found.record
    assert {item["alarm_id"] for item in found.sounded} <= {item["alarm_id"] for item in found.record}


def test_a_siren_that_never_sounded_has_no_file(finished, tmp_path):
    site = finished[0]
    pictures = {"province": set(), "bureau": set()}
    assert evidence_of(site, tmp_path / "none", [], pictures, ()).sounded == []
    heard = tmp_path / "siren"
    heard.write_bytes(orjson.dumps({"alarm_id": "a"}) + b"\n" + orjson.dumps({"alarm_id": "b"}) + b"\n")
    sounded = evidence_of(site, heard, [], pictures, ()).sounded
    assert [item["alarm_id"] for item in sounded] == ["a", "b"]
