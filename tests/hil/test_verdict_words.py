"""The demo's verdict in words: complete in both languages, and silent about what was not seen."""

import pytest

from hil.verdict_words import verdict_text

ONE = dict.fromkeys(("acknowledged", "lost", "duplicates", "out_of_order", "backlog"), 0)
FIGURES = {
    "verdict": "pass",
    "values_read": 100,
    "values_recorded": 100,
    "recipients": {"province": ONE, "bureau": ONE},
    "alarms": {"raised": 4, "cleared": 4},
    "snapshots": 2,
    "alarm_ms_p50": 9.0,
    "alarm_ms_p99": 20.0,
    "alarm_samples": 6,
    "modbus_writes_seen": 0,
    "opcua_write_services_seen": 0,
    "escalation": {
        "seen": True,
        "tag": "LT-102",
        "levels": ["H", "HH", "H", "clear"],
        "changes": 5,
        "snapshots": 3,
    },
    "lost_plc": {"seen": True, "tag": "LT-101", "cleared_by": 77.68},
    "shelf": {"seen": True, "tag": "XG-203", "by": "wang"},
    "warning": {"seen": True, "id": "W-1", "by": "wang", "waited_s": 8, "feedback_at": ["bureau"]},
    "problems": [],
}


def test_the_verdict_is_complete_in_both_languages_and_names_what_failed():
    assert verdict_text(FIGURES, 15.0, 2.5, "zh").startswith("结论：通过")
    figures = {**FIGURES, "verdict": "fail", "problems": ["no picture reached both"]}
    failed = verdict_text(figures, 15.0, 2.5, "en")
    assert failed.splitlines()[:2] == ["Verdict: FAIL", "  ! no picture reached both"]
    assert "had caught up 2.5 s after its return" in failed
    assert "Write requests to any PLC: 0." in failed


def test_each_of_the_four_has_its_line():
    zh, en = (verdict_text(FIGURES, 15.0, None, language) for language in ("zh", "en"))
    assert "原位升级：LT-102 的 高→高高→高→消除 是同一条报警记录，变更 5 次，附抓拍 3 张" in zh
    assert "H, HH, H, clear of LT-102 are one record of 5 changes with 3 pictures" in en
    assert "恢复后由正常值 77.7 消除" in zh
    assert "the good value 77.7 cleared it" in en
    assert "wang 搁置 XG-203" in zh
    assert "wang shelved XG-203" in en
    assert "8 秒后由 wang 反馈，反馈已到区局" in zh
    assert "wang answered after 8 s, and the feedback is at: Bureau" in en


@pytest.mark.parametrize(
    ("name", "zh", "en"),
    [
        ("escalation", "原位升级", "Escalation in place"),
        ("lost_plc", "PLC 失联", "PLC lost"),
        ("shelf", "搁置", "Shelf"),
        ("warning", "上级预警", "Warning from above"),
    ],
)
def test_what_was_not_seen_is_not_claimed(name, zh, en):
    figures = {**FIGURES, name: {"seen": False}}
    assert f"{zh}：未得到证实。" in verdict_text(figures, 15.0, None, "zh").splitlines()
    assert f"{en}: not proven." in verdict_text(figures, 15.0, None, "en").splitlines()
