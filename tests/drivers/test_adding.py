""" "How to add a driver" of drivers/README.md, done: two files in a folder, and the whole gateway knows the driver."""

from __future__ import annotations

import asyncio
import importlib
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import page_contract
import pytest
from float_registers import Registers
from hostile_modbus import peer
from source_contract import Catch, any_good, running

import drivers
from gateway.config import load
from gateway.errors import UserFileErrors
from gateway.plant import Config

ADDED = Path(__file__).parent / "added"
TABLE = (
    "tag,device,address,unit,range_lo,range_hi,hh\nGT-301,hall,0,%LEL,-200,100,50\nGT-302,hall,2,%LEL,,,\n"
)


@pytest.fixture
def added(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder with the new driver and its page, and nothing else told about it."""
    folder = tmp_path / "more-drivers"
    shutil.copytree(ADDED, folder, ignore=shutil.ignore_patterns("__pycache__"))
    assert sorted(path.name for path in folder.iterdir()) == ["gauge.md", "gauge.py"]
    monkeypatch.setattr(drivers, "__path__", [*drivers.__path__, str(folder)])
    importlib.invalidate_caches()
    yield folder
    sys.modules.pop("drivers.gauge", None)
    if hasattr(drivers, "gauge"):
        del drivers.gauge


def configure(folder: Path, device: str, table: str = TABLE) -> Config:
    (folder / "points.csv").write_text(table, encoding="utf-8")
    (folder / "gateway.toml").write_text(page_contract.HOUSE + device, encoding="utf-8")
    return load(folder / "gateway.toml")


def test_without_it_the_driver_is_unknown(tmp_path: Path) -> None:
    with pytest.raises(UserFileErrors) as caught:
        configure(tmp_path, '[[device]]\nname = "hall"\ndriver = "gauge"\nhost = "127.0.0.1"\n')
    assert [error.code for error in caught.value.errors] == ["E-CONFIG-DRIVER-UNKNOWN"]


@pytest.mark.usefixtures("added")
def test_the_gateway_checks_its_options_and_its_points(tmp_path: Path) -> None:
    with pytest.raises(UserFileErrors) as caught:
        configure(
            tmp_path,
            '[[device]]\nname = "hall"\ndriver = "gauge"\nhost = "127.0.0.1"\nport = 0\nprot = 1\n',
        )
    assert {error.code for error in caught.value.errors} == {"E-CONFIG-KEY-UNKNOWN", "E-CONFIG-DRIVER"}
    with pytest.raises(UserFileErrors) as caught:
        configure(
            tmp_path,
            '[[device]]\nname = "hall"\ndriver = "gauge"\nhost = "127.0.0.1"\n',
            TABLE.replace("hall,0", "hall,40001x"),
        )
    (error,) = caught.value.errors
    assert error.code == "E-POINTS-DRIVER"
    assert error.place.endswith(":2:C(address)")
    assert "0 到 65534" in error.remedy["zh"]


@pytest.mark.usefixtures("added")
def test_its_source_runs_as_the_gateway_runs_it(tmp_path: Path) -> None:
    async def story() -> None:
        async with peer(Registers().behave) as device:
            config = configure(
                tmp_path,
                '[[device]]\nname = "hall"\ndriver = "gauge"\nperiod_s = 0.1\nhost = "127.0.0.1"\n'
                f"port = {device.port}\n",
            )
            (hall,) = config.devices
            catch = Catch()
            module = importlib.import_module(f"drivers.{hall.driver}")
            async with running(module.connect(hall.device, hall.options, catch.post)):
                scan = await catch.until(any_good)
            assert scan.values.tolist() == [23.40625, 23.40625]
            assert scan.config_rev == config.rev

    asyncio.run(story())


def test_its_page_is_a_page(added: Path, tmp_path: Path) -> None:
    page = added / "gauge.md"
    page_contract.has_its_parts(page)
    page_contract.samples_are_taken(page, tmp_path)
    page_contract.sample_shows_every_option(page)
    page_contract.promises_are_told(page)
