"""When pictures are wanted, and what is wrong with those that came."""

from __future__ import annotations

from drivers.kit.shots import TELL_AFTER, Complaint, Sameness


def test_the_same_bytes_are_frozen_only_after_a_while_and_new_ones_never():
    same = Sameness(10.0)
    assert [same.frozen(b"a", now_s) for now_s in (0.0, 1.0, 9.9, 10.0, 50.0)] == [
        False,
        False,
        False,
        True,
        True,
    ]
    assert not same.frozen(b"b", 51.0)
    assert not same.frozen(b"a", 52.0)
    assert same.frozen(b"a", 62.0)


def test_some_in_a_row_are_a_complaint_and_one_good_one_ends_it():
    complaint = Complaint()
    for _ in range(TELL_AFTER - 1):
        complaint.see("black", found=True)
        complaint.see("frozen", found=False)
    assert not str(complaint)
    complaint.see("black", found=True)
    assert "black" in str(complaint)
    assert "same byte" not in str(complaint)
    complaint.see("black", found=False)
    assert not str(complaint)
