"""The host driver against this very machine, against a folder of files that hang, and against a disk that does."""

from __future__ import annotations

import asyncio
import ctypes
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hostile_box import Kernel
from source_contract import PATIENCE_S, Catch, any_good, running

from drivers import host
from drivers.kit.errors import PointError
from drivers.kit.quality import GOOD, Cause, Status, bad, is_good, quality
from drivers.kit.scan import Device, Point, Scan

ALL = (
    *("cpu.load", "cpu.temperature", "memory.available", "memory.used", "disk.wear"),
    *("power.under_voltage", "power.fail", "link.eth0"),
)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def threads() -> set[str]:
    return {thread.name for thread in threading.enumerate() if thread.name.startswith("host ")}


def read(kernel: Kernel, *addresses: str) -> Scan:
    """One scan; the processor's ticks go on between its two looks."""

    async def story() -> Scan:
        reading = asyncio.create_task(kernel.source(addresses, Catch().post).read())
        await asyncio.sleep(host.FIRST_LOOK_S / 2)
        kernel.say("proc/stat", "cpu  125 0 50 860 55 0 5 5 0 0\n")
        return await reading

    scan = asyncio.run(story())
    assert threads() == set()
    return scan


def test_this_machine_is_read() -> None:
    addresses = ("cpu.load", "memory.available", "memory.used", "disk.free:/", "disk.used:/", "link.lo")
    device = Device("box", tuple(Point(address, address) for address in addresses))

    async def story() -> Scan:
        return await host.connect(device, host.Options(), Catch().post).read()

    scan = asyncio.run(story())
    assert is_good(scan.quality).all()
    load, free_mib, used, disk_mib, disk_used, lo = scan.values.tolist()
    assert 0 <= load <= 100
    assert 0 < used < 100
    assert 0 < disk_used < 100
    assert lo == 1
    page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
    assert 0 < free_mib < os.sysconf("SC_PHYS_PAGES") * page_mib
    assert disk_mib == pytest.approx(os.statvfs("/").f_bavail * os.statvfs("/").f_frsize / 2**20, rel=0.05)


def test_this_machines_clock_is_told_as_the_kernel_tells_it() -> None:
    device = Device("box", tuple(Point(a, a) for a in ("clock.synchronised", "clock.offset", "clock.error")))

    async def story() -> Scan:
        return await host.connect(device, host.Options(), Catch().post).read()

    scan = asyncio.run(story())
    assert scan.quality[0] == GOOD
    if scan.values[0]:
        assert (scan.quality == GOOD).all()
        assert scan.values[2] > 0
    else:
        assert set(scan.quality[1:].tolist()) <= {bad(Cause.CLOCK), bad(Cause.REFUSED)}


def test_every_reading_has_its_number(kernel: Kernel) -> None:
    scan = read(kernel, *ALL)
    assert (scan.quality == GOOD).all()
    assert scan.values.tolist() == [25, 48.312, 1, 75, 20, 0, 0, 1]
    assert scan.config_rev == "r1"


def test_sensors_by_name_and_the_hottest_of_the_processors(kernel: Kernel) -> None:
    kernel.say("sys/class/hwmon/hwmon1/name", "coretemp\n")
    kernel.say("sys/class/hwmon/hwmon1/temp1_input", "51000\n")
    kernel.say("sys/class/hwmon/hwmon1/temp2_input", "52500\n")
    addresses = ("cpu.temperature", "cpu.temperature:gpu-thermal", "cpu.temperature:none")
    scan = read(kernel, *addresses)
    assert scan.values[:2].tolist() == [52.5, 91]
    assert scan.quality.tolist() == [GOOD, GOOD, bad(Cause.REFUSED)]


def test_without_the_kernels_driver_the_raspberry_pis_firmware_is_asked(kernel: Kernel) -> None:
    kernel.lose("sys/class/hwmon/hwmon0/name", "sys/class/hwmon/hwmon0/in0_lcrit_alarm")
    kernel.say("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n")
    assert read(kernel, "power.under_voltage").values.tolist() == [1]


def test_what_this_box_does_not_have_is_refused_with_a_cause_and_never_zero(tmp_path: Path) -> None:
    addresses = (*ALL, "disk.wear:sda", "disk.free:/nowhere", "disk.used:/nowhere", "link.wlan9")
    options = host.Options(power_fail_file=tmp_path / "nowhere")
    device = Device("box", tuple(Point(address, address) for address in addresses))

    async def story() -> None:
        nothing = host.Roots(tmp_path, tmp_path, tmp_path, tmp_path)
        source = host.HostSource(device, options, Catch().post, nothing)
        scan = await source.read()
        assert scan.quality.tolist() == [bad(Cause.REFUSED)] * len(addresses)
        assert np.isnan(scan.values).all()
        assert not source.state().connected
        assert "No such file" in source.state().detail

    asyncio.run(story())


@pytest.mark.parametrize(
    ("name", "text", "address", "cause"),
    [
        ("proc/stat", "", "cpu.load", Cause.GARBLED),
        ("proc/meminfo", "MemTotal: 1 kB\n", "memory.used", Cause.GARBLED),
        ("proc/meminfo", b"\xff\xfe\x00", "memory.available", Cause.GARBLED),
        ("sys/class/thermal/thermal_zone0/temp", "", "cpu.temperature", Cause.GARBLED),
        ("sys/class/thermal/thermal_zone0/temp", "nan\n", "cpu.temperature", Cause.GARBLED),
        ("sys/class/thermal/thermal_zone0/temp", "-274000\n", "cpu.temperature", Cause.DEVICE_FAULT),
        ("sys/class/hwmon/hwmon0/in0_lcrit_alarm", "2\n", "power.under_voltage", Cause.GARBLED),
        ("sys/class/net/eth0/carrier", "", "link.eth0", Cause.GARBLED),
        ("sys/class/net/eth0/flags", "up", "link.eth0", Cause.GARBLED),
        ("sys/block/mmcblk0/device/life_time", "0x00 0x00\n", "disk.wear", Cause.REFUSED),
        ("ups/online", "", "power.fail", Cause.GARBLED),
        ("ups/online", "unknown\n", "power.fail", Cause.GARBLED),
    ],
)
def test_nonsense_in_a_file_is_a_cause_of_its_own_points_only(
    kernel: Kernel, name: str, text: str | bytes, address: str, cause: Cause
) -> None:
    kernel.say(name, text)
    others = ("memory.used",) if address == "cpu.load" else ()
    scan = read(kernel, address, *others)
    assert scan.quality.tolist() == [bad(cause), *[GOOD] * len(others)]
    assert np.isnan(scan.values[0])


def test_a_link_that_is_switched_off_is_down_and_not_unknown(kernel: Kernel) -> None:
    kernel.say("sys/class/net/eth0/flags", "0x1002\n")
    kernel.lose("sys/class/net/eth0/carrier")  # the kernel answers EINVAL to whoever asks then
    assert read(kernel, "link.eth0").values.tolist() == [0]
    kernel.say("sys/class/net/eth0/flags", "0x1003\n")
    kernel.say("sys/class/net/eth0/carrier", "0\n")
    assert read(kernel, "link.eth0").values.tolist() == [0]


def test_the_supply_fails_and_comes_back(kernel: Kernel) -> None:
    async def story() -> None:
        catch = Catch()
        async with running(kernel.source(("power.fail",), catch.post)):
            for text, value in (("1\n", 0), ("0\n", 1), ("1\n", 0)):
                kernel.say("ups/online", text)
                await catch.until(lambda scan, value=value: scan.values[0] == value)  # type: ignore[misc]

    asyncio.run(story())


def test_a_disk_that_is_no_nvme_is_not_taken_for_one(kernel: Kernel) -> None:
    kernel.say("sys/block/nvme0n1/size", "1")
    kernel.say("dev/nvme0", "no controller")
    scan = read(kernel, "disk.wear:nvme0n1", "disk.wear")
    assert scan.quality.tolist() == [bad(Cause.REFUSED)] * 2


def test_the_command_to_an_nvme_controller_has_the_kernels_shape() -> None:
    write_and_read, size, kind, number = 3, ctypes.sizeof(host._AdminCommand), ord("N"), 0x41
    assert write_and_read << 30 | size << 16 | kind << 8 | number == host._NVME_ADMIN_COMMAND


def test_a_hanging_file_costs_its_lane_only_is_waited_for_once_and_its_late_answer_is_dropped(
    kernel: Kernel,
) -> None:
    async def story() -> None:
        catch = Catch()
        addresses = ("memory.available", "cpu.temperature", "power.fail")
        async with running(kernel.source(addresses, catch.post, period_s=0.05)) as task:
            await catch.until(lambda scan: bool(is_good(scan.quality).all()))
            kernel.hang("ups/online")
            lost = await catch.until(lambda scan: scan.quality[2] == bad(Cause.COMM))
            assert lost.quality.tolist() == [GOOD, GOOD, bad(Cause.COMM)]
            begun, posted = time.monotonic(), len(catch.scans)
            for _ in range(8):
                scan = await catch.until(lambda _: True)
                assert scan.quality.tolist() == [GOOD, GOOD, bad(Cause.COMM)]
            assert time.monotonic() - begun < 8 * 0.5, "the hanging lane was waited for again"
            assert threads() & {"host power.fail"} == {"host power.fail"}
            assert sum(thread.name == "host power.fail" for thread in threading.enumerate()) == 1
            kernel.say("ups/online", "0\n")  # who hung reads an end of file: the late answer would be garbled
            back = await catch.until(lambda scan: scan.quality[2] != bad(Cause.COMM))
            assert back.values[2] == 1
            assert posted < len(catch.scans)
            assert not task.done()
        assert threads() == set()

    asyncio.run(story())


def test_two_points_of_the_same_reading_share_it_though_written_differently(kernel: Kernel) -> None:
    scan = read(kernel, "cpu.load", "cpu.load", "cpu.load:")
    assert scan.quality.tolist() == [GOOD] * 3
    assert scan.values.tolist() == [25] * 3


def test_a_sensor_without_a_name_costs_no_other_its_temperature(kernel: Kernel) -> None:
    for number, name in ((7, b"\xff\xfe"), (8, "coretemp")):
        kernel.say(f"sys/class/hwmon/hwmon{number}/name", name)
        kernel.say(f"sys/class/hwmon/hwmon{number}/temp1_input", "51000\n")
    kernel.say("sys/class/hwmon/hwmon9/temp1_input", "99000\n")
    scan = asyncio.run(kernel.source(("cpu.temperature",), lambda _: None).read())
    assert (scan.quality[0], scan.values[0]) == (GOOD, 51.0)


def test_stopping_does_not_wait_for_a_thread_that_hangs_and_it_ends_by_itself(kernel: Kernel) -> None:
    async def story() -> None:
        kernel.hang("ups/online")
        catch = Catch()
        async with running(kernel.source(("power.fail", "memory.used"), catch.post)):
            await catch.until(any_good)
        assert threads() == {"host power.fail"}
        assert all(thread.daemon for thread in threading.enumerate() if thread.name in threads())

    asyncio.run(story())
    kernel.say("ups/online", "1\n")  # the loop it would tell is closed by now
    until = time.monotonic() + PATIENCE_S
    while threads():
        assert time.monotonic() < until
        time.sleep(0.01)


@contextmanager
def dead_disk(folder: Path) -> Iterator[None]:
    """A file system in user space whose server never answers, so that every question about it hangs."""
    libc = ctypes.CDLL(None, use_errno=True)
    server = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={server},rootmode=40000,user_id=0,group_id=0".encode()
    folder.mkdir()
    if libc.mount(b"dead", str(folder).encode(), b"fuse", 0, options):
        os.close(server)
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    try:
        yield
    finally:
        libc.umount2(str(folder).encode(), 2)  # MNT_DETACH
        os.close(server)  # now the kernel lets go of everybody who waits


@pytest.mark.root
def test_a_dead_disk_holds_up_neither_the_loop_nor_its_neighbours(kernel: Kernel, tmp_path: Path) -> None:
    async def story() -> None:
        catch = Catch()
        addresses = ("memory.used", f"disk.free:{tmp_path / 'dead'}", f"disk.used:{tmp_path}")
        source = kernel.source(addresses, catch.post)
        async with running(source):
            scan = await catch.until(any_good)
            assert scan.quality.tolist() == [GOOD, bad(Cause.COMM), GOOD]
            assert "does not answer in time" in source.state().detail
            for _ in range(5):
                assert (await catch.until(any_good)).quality.tolist() == [GOOD, bad(Cause.COMM), GOOD]

    with dead_disk(tmp_path / "dead"):
        asyncio.run(story())
    until = time.monotonic() + PATIENCE_S
    while threads():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_what_changes_is_logged_once(kernel: Kernel, caplog: pytest.LogCaptureFixture) -> None:
    async def story() -> None:
        catch = Catch()
        async with running(kernel.source(("power.fail", "memory.used"), catch.post, period_s=0.05)):
            await catch.until(any_good)
            kernel.lose("ups/online")
            await catch.until(lambda scan: scan.quality[0] == bad(Cause.REFUSED))
            for _ in range(5):
                await catch.until(any_good)
            kernel.say("ups/online", "1\n")
            await catch.until(lambda scan: scan.quality[0] == GOOD)

    with caplog.at_level("INFO", logger="drivers.host"):
        asyncio.run(story())
    assert [record.levelname for record in caplog.records] == ["INFO", "WARNING", "INFO"]


def test_scale_and_offset_work_as_everywhere(kernel: Kernel) -> None:
    options = host.Options()
    points = (Point("f", "cpu.temperature", scale=1.8, offset=32.0), Point("g", "memory.used", scale=0.01))

    async def story() -> Scan:
        return await host.HostSource(Device("box", points), options, Catch().post, kernel.roots()).read()

    assert asyncio.run(story()).values.tolist() == [pytest.approx(118.9616), 0.75]


def test_what_is_outside_its_range_is_uncertain_and_keeps_its_value(kernel: Kernel) -> None:
    points = (
        Point("hot", "cpu.temperature", range_lo=-20.0, range_hi=40.0),
        Point("warm", "cpu.temperature", range_lo=-20.0, range_hi=48.0),
        Point("gone", "cpu.temperature:none", range_lo=-20.0, range_hi=48.0),
    )

    async def story() -> Scan:
        return await host.HostSource(
            Device("box", points), host.Options(), Catch().post, kernel.roots()
        ).read()

    scan = asyncio.run(story())
    assert scan.quality.tolist() == [quality(Status.UNCERTAIN, Cause.OVER_RANGE), GOOD, bad(Cause.REFUSED)]
    assert scan.values[:2].tolist() == [48.312, 48.312]


@pytest.mark.parametrize(
    ("more", "field"),
    [
        ({"timeout_s": 0.1}, "timeout_s"),
        ({"power_fail_text": ""}, "power_fail_text"),
        ({"power_ok_text": " 0"}, "power_ok_text"),
        ({"power_ok_text": "1"}, "power_ok_text"),
    ],
)
def test_a_wrong_option_names_its_key(more: dict[str, object], field: str) -> None:
    with pytest.raises(PointError) as caught:
        host.Options(**more)  # type: ignore[arg-type]
    assert caught.value.field == field
    assert caught.value.remedy["zh"]


def test_all_that_is_wrong_with_the_box_is_told_at_once() -> None:
    with pytest.raises(PointError) as caught:
        host.Options(timeout_s=0, power_fail_text="", power_ok_text="")
    told = [error.field for error in (caught.value, *caught.value.others)]
    assert told == ["timeout_s", "power_fail_text", "power_ok_text"]
    with pytest.raises(PointError) as caught:
        host.check_point(Point("a", "cpu.loads", scale=0.0, unit_id=1, bit=1), host.Options())
    assert {error.field for error in (caught.value, *caught.value.others)} == {
        *("address", "scale", "unit_id", "bit")
    }


@pytest.mark.parametrize(
    ("address", "more", "field"),
    [
        ("cpu.loads", {}, "address"),
        ("power.fail", {}, "address"),
        ("cpu.load", {"scale": 0.0}, "scale"),
        ("cpu.load", {"type": "bool"}, "type"),
        ("link.eth0", {"type": "float32"}, "type"),
        ("cpu.load", {"unit_id": 1}, "unit_id"),
        ("cpu.load", {"bit": 1}, "bit"),
        ("cpu.load", {"frozen_s": 60.0}, "frozen_s"),
        ("cpu.load", {"status_point": "x"}, "status_point"),
    ],
)
def test_a_point_that_does_not_fit_names_its_cell(address: str, more: dict[str, object], field: str) -> None:
    host.check_point(Point("a", "link.eth0", type="bool"), host.Options())
    with pytest.raises(PointError) as caught:
        host.check_point(Point("a", address, **more), host.Options())  # type: ignore[arg-type]
    assert caught.value.field == field
