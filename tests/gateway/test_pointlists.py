from pathlib import Path

import pytest

from drivers.kit.scan import Device, Point
from gateway.plant import Config, DeviceConfig, PointConfig, StorageConfig
from gateway.pointlists import PointLists


def config(rev, *names):
    points = tuple(PointConfig(Point(name, "40001"), unit="℃") for name in names)
    device = DeviceConfig(Device("plc", tuple(p.point for p in points)), "modbus", None, points)
    return Config(rev, "s", "g", "zh", StorageConfig(Path("x")), Path("x"), (device,))


def test_an_old_record_is_read_with_its_own_list():
    lists = PointLists({"config/current": b"new", "config/old": PointLists.state_of(config("old", "A", "B"))})
    lists.add(config("new", "B"))
    assert lists.of("old", "plc").names == ("A", "B")
    assert lists.of("new", "plc").names == ("B",)
    assert lists.of("old", "plc").units == ("℃", "℃")
    with pytest.raises(KeyError):
        lists.of("older", "plc")
