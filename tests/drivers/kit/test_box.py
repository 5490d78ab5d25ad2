"""What the kernel's files mean: every text as kernels write it, and texts that make no sense."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.kit import box
from drivers.kit.errors import PointError, SourceError
from drivers.kit.quality import Cause

STAT = "cpu  100 10 50 800 40 0 5 5 7 0\ncpu0 1 2 3\nintr 1\n"
MEMINFO = "MemTotal:        4096 kB\nMemFree: 10 kB\nMemAvailable:    1024 kB\nHugePages_Total:  0\n"


def fails(cause: Cause, call: Callable[[], object]) -> str:
    with pytest.raises(SourceError) as caught:
        call()
    assert caught.value.quality_cause is cause
    return caught.value.detail


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("cpu.load", ("cpu.load", "")),
        ("cpu.temperature", ("cpu.temperature", "")),
        ("cpu.temperature:x86_pkg_temp", ("cpu.temperature", "x86_pkg_temp")),
        ("disk.free:/var/lib/plantgate", ("disk.free", "/var/lib/plantgate")),
        ("disk.used:/a:b", ("disk.used", "/a:b")),
        ("disk.wear", ("disk.wear", "")),
        ("disk.wear:nvme0n1", ("disk.wear", "nvme0n1")),
        ("link.eth0", ("link", "eth0")),
        ("link.eth0.100", ("link", "eth0.100")),
        ("power.fail", ("power.fail", "")),
    ],
)
def test_a_reading_is_named(address: str, place: tuple[str, str]) -> None:
    assert box.parse_address(address) == place


@pytest.mark.parametrize(
    "address",
    [
        *("", "cpu", "cpu.loads", "40001", "cpu.load:0", "disk.free", "disk.used:", "disk.free:var"),
        *("disk.wear:../sda", "link", "link.", "link...", "link.a/b", "link.much-too-long-name", "link eth0"),
    ],
)
def test_anything_else_is_refused_with_what_may_stand_there(address: str) -> None:
    with pytest.raises(PointError) as caught:
        box.parse_address(address)
    assert caught.value.field == "address"
    assert "." in caught.value.remedy["zh"]


def test_load_is_the_share_of_ticks_not_idle() -> None:
    before = box.cpu_times(STAT)
    assert before == (170, 1010)
    assert box.load_percent(before, box.CpuTimes(195, 1110)) == 25


@pytest.mark.parametrize(
    "text", ["", "cpu", "cpu  1 2 3", "cpu  1 2 x 4 5 6", "intr 1 2 3 4 5 6", "cpu 1 2 3 4 ٥"]
)
def test_a_torn_stat_is_garbled(text: str) -> None:
    fails(Cause.GARBLED, lambda: box.cpu_times(text))


@pytest.mark.parametrize("after", [(170, 1010), (160, 1100), (400, 1100), (100, 900)])
def test_ticks_that_do_not_move_forward_are_no_load(after: tuple[int, int]) -> None:
    fails(Cause.GARBLED, lambda: box.load_percent(box.cpu_times(STAT), box.CpuTimes(*after)))


def test_memory() -> None:
    assert box.memory_mib(MEMINFO) == (1, 4)
    for torn in ("", MEMINFO[:30], MEMINFO.replace("1024", "9999"), MEMINFO.replace("4096", "much")):
        fails(Cause.GARBLED, lambda torn=torn: box.memory_mib(torn))  # type: ignore[misc]


def test_a_disk_is_used_as_df_shows_it() -> None:
    assert box.disk_used_percent(blocks=100, free=30, available=20) == pytest.approx(100 * 70 / 90)
    for nothing in ((0, 0, 0), (10, 20, 5)):
        fails(Cause.REFUSED, lambda nothing=nothing: box.disk_used_percent(*nothing))  # type: ignore[misc]


def test_temperature_and_what_a_sensor_says_when_it_has_none() -> None:
    assert box.temperature_c("48312\n", "t") == 48.312
    assert box.temperature_c("-5000\n", "t") == -5
    for text in ("-274000", "255000", "127000000"):
        fails(Cause.DEVICE_FAULT, lambda text=text: box.temperature_c(text, "t"))  # type: ignore[misc]
    for text in ("", "nan", "4 8", "1e3", "0x10", "48.3", "９"):
        fails(Cause.GARBLED, lambda text=text: box.temperature_c(text, "t"))  # type: ignore[misc]


def test_which_sensors_speak_of_the_processor() -> None:
    assert all(map(box.is_cpu_sensor, ("cpu-thermal", "x86_pkg_temp", "soc-thermal", "coretemp", "k10temp")))
    assert not any(map(box.is_cpu_sensor, ("acpitz", "nvme", "iwlwifi_1", "gpu-thermal", "battery")))


@pytest.mark.parametrize(
    ("text", "low"), [("0\n", 0), ("50005\n", 1), ("0x50000\n", 0), ("1", 1), ("80008", 0)]
)
def test_under_voltage_now(text: str, low: int) -> None:
    assert box.throttled_under_voltage(text, "get_throttled") == low


@pytest.mark.parametrize("text", ["", "throttled=0x0", "volt"])
def test_a_firmware_that_says_something_else_is_garbled(text: str) -> None:
    fails(Cause.GARBLED, lambda: box.throttled_under_voltage(text, "get_throttled"))


def test_emmc_wear_is_the_worse_of_both_memories() -> None:
    assert box.emmc_wear_percent("0x01 0x03\n", "mmcblk0") == 30
    assert box.emmc_wear_percent("0x0b 0x00\n", "mmcblk0") == 110
    assert "does not tell" in fails(Cause.REFUSED, lambda: box.emmc_wear_percent("0x00 0x00\n", "mmcblk0"))
    for text in ("", "0x01", "0x0c 0x01", "-1 0x01", "new old"):
        fails(Cause.GARBLED, lambda text=text: box.emmc_wear_percent(text, "mmcblk0"))  # type: ignore[misc]


def test_nvme_wear_and_no_new_disk_out_of_an_empty_page() -> None:
    page = bytearray(512)
    page[5] = 104
    assert box.nvme_wear_percent(bytes(page), "nvme0") == 104
    page[1:6] = (0x2C, 0x01, 100, 10, 0)
    assert box.nvme_wear_percent(bytes(page), "nvme0") == 0
    fails(Cause.GARBLED, lambda: box.nvme_wear_percent(bytes(512), "nvme0"))
    fails(Cause.GARBLED, lambda: box.nvme_wear_percent(bytes(page[:100]), "nvme0"))


def test_a_contact_says_one_of_two_words() -> None:
    assert box.contact("1\n", "gpio") == 1
    assert box.contact("online\n", "ups", on="offline", off="online") == 0
    for text in ("", "2", "01", "on"):
        assert "gpio" in fails(Cause.GARBLED, lambda text=text: box.contact(text, "gpio"))  # type: ignore[misc]


LATER_NS = box.EARLIEST_TRUSTED_NS + 10**15
SYNCED = box.Sync(verdict=0, status=0x2001, offset=-1_500_000, maxerror_us=2500)
UNSYNCED = box.Sync(verdict=5, status=0x40, offset=0, maxerror_us=16_000_000)


@pytest.mark.parametrize(
    ("sync", "utc_ns", "mark_ns", "is_set"),
    [
        (SYNCED, LATER_NS, None, 1),
        (SYNCED, 10**15, None, 0),
        (UNSYNCED, LATER_NS, LATER_NS, 0),
        (None, LATER_NS, LATER_NS - 10**12, 1),
        (None, LATER_NS, LATER_NS - box.MARK_FRESH_NS, 0),
        (None, LATER_NS, None, 0),
    ],
)
def test_when_the_clock_is_set(sync: box.Sync | None, utc_ns: int, mark_ns: int | None, is_set: int) -> None:
    assert box.clock_is_set(sync, utc_ns, mark_ns) == is_set


def test_offset_and_error_are_told_only_by_a_synchronised_kernel_that_may_be_asked() -> None:
    assert box.clock_ms(SYNCED, "clock.offset") == -1.5
    assert box.clock_ms(SYNCED._replace(status=1), "clock.offset") == -1500
    assert box.clock_ms(SYNCED, "clock.error") == 2.5
    fails(Cause.CLOCK, lambda: box.clock_ms(UNSYNCED, "clock.offset"))
    assert "ProtectClock" in fails(Cause.REFUSED, lambda: box.clock_ms(None, "clock.error"))
