import pytest

from gateway.replay.script import Order, Script, seconds


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0s"),
        (1_000_000_000, "1s"),
        (12_500_000_000, "12.5s"),
        (3_600_000_000_000, "3600s"),
        (1_000_000, "0.001s"),
    ],
)
def test_a_time_is_written_as_scripts_write_it(ns: int, text: str):
    assert seconds(ns) == text


def test_the_usual_is_left_out():
    assert Order("ack", "LT-1/high").for_s == 0.0
    assert Script("case.txt", "title", (), ()).expects
