import time

from drivers.kit.box import MARK_FRESH_NS, Sync
from gateway.clock import SystemClock, boot_id
from gateway.instant import ClockState


def test_the_clock_says_both_times_and_a_state_of_the_closed_list():
    before = (time.monotonic_ns(), time.time_ns())
    now = SystemClock().now()
    assert before[0] <= now.mono_ns <= time.monotonic_ns()
    assert before[1] <= now.utc_ns <= time.time_ns()
    assert now.clock.state in {"synchronised", "holdover", "unsynchronised"}
    assert now.clock.state != "synchronised" or now.clock.error_ms is not None


def test_a_clock_that_was_never_set_is_not_trusted():
    assert SystemClock()._ask(utc_ns=1_000_000_000).state == "unsynchronised"


def test_the_boot_has_one_name():
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()


def test_where_the_kernel_may_not_be_asked_timesyncds_mark_tells(tmp_path):
    mark = tmp_path / "synchronized"
    clock = SystemClock(mark, lambda: None)
    now_ns = time.time_ns()
    assert clock._ask(now_ns).state == "unsynchronised"
    mark.touch()
    assert clock._ask(now_ns) == ClockState("synchronised", None)
    assert clock._ask(now_ns + MARK_FRESH_NS + 10**9).state == "holdover"


def test_the_kernels_word_counts_and_a_clock_once_set_is_in_holdover(tmp_path):
    told = [Sync(5, 0x40, 0, 16_000_000), Sync(0, 0, 0, 2_500), Sync(5, 0x40, 0, 16_000_000)]
    mark = tmp_path / "synchronized"
    mark.touch()
    clock = SystemClock(mark, lambda: told.pop(0))
    states = [clock._ask(time.time_ns()) for _ in range(3)]
    assert states == [
        ClockState("unsynchronised", None),
        ClockState("synchronised", 2.5),
        ClockState("holdover", 16_000),
    ]
