"""Values read directly from a device, without a gateway."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.commands import read
from gateway.config import load
from gateway.errors import Exit
from hil.answers import AnswerLog
from hil.configuration import write_configuration
from hil.modbus_plc import ModbusPlc, Unit

ROWS: list[dict[str, object]] = [
    {"tag": "GT-1", "device": "plc", "address": "40003", "type": "int16", "decimals_point": "DP-1"},
    {"tag": "DP-1", "device": "plc", "address": "40004"},
    {"tag": "FQ-1", "device": "plc", "address": "40005", "type": "uint64"},
    {"tag": "ID-1", "device": "plc", "address": "40009", "type": "string", "length": 3},
    {"tag": "XX-1", "device": "plc", "address": "40012", "type": "float32", "order": "CDAB"},
]


def values(tmp_path: Path, name: str | None) -> dict[str, dict[str, Any]]:
    async def story() -> dict[str, dict[str, Any]]:
        unit = Unit("plc", 16)
        unit.registers[2:11] = [1234, 2, 0xFFFF, 0xFFFF, 0xFFFF, 0xFFFE, 0x5631, 0x2E32, 0]
        unit.registers[11:13] = [0, 0x4148]
        async with ModbusPlc({1: unit}, AnswerLog()) as plc:
            device = {"name": "plc", "driver": "modbus", "host": "127.0.0.1", "port": plc.port}
            sections = [("[site]", {"id": "s"}), ("[gateway]", {"id": "g"}), ("[[device]]", device)]
            config = load(write_configuration(tmp_path, sections, ROWS))
            points, failures = await read._read_all(read._wanted(config, name))
            assert failures == []
            return {point["name"]: point for point in points}

    return asyncio.run(story())


def test_texts_are_texts_and_long_whole_numbers_have_all_their_digits(tmp_path: Path) -> None:
    found = values(tmp_path, None)
    assert [found[tag]["value"] for tag in ("GT-1", "FQ-1", "ID-1", "XX-1")] == [
        12.34,
        2**64 - 2,
        "V1.2",
        12.5,
    ]
    assert found["XX-1"]["orders"]["CDAB"] == 12.5
    assert found["FQ-1"]["orders"] == {
        "ABCD": 2**64 - 2,
        "BADC": 2**64 - 1 - 0x100,
        "CDAB": 0xFFFEFFFFFFFFFFFF,
        "DCBA": 0xFEFFFFFFFFFFFFFF,
    }


@pytest.mark.parametrize(("tag", "value"), [("GT-1", 12.34), ("XX-1", 12.5)])
def test_one_point_is_read_with_those_it_is_judged_by_and_shown_alone(
    tmp_path: Path, tag: str, value: float
) -> None:
    found = values(tmp_path, tag)
    assert list(found) == [tag]
    assert (found[tag]["value"], found[tag]["quality"]) == (value, "good")


PLANTGATE = (sys.executable, "-c", "from gateway.cli import main; raise SystemExit(main())")
PATIENCE_S = 60.0


@contextmanager
def gateway(site: Path) -> Iterator[None]:
    """A gateway that runs on this site."""
    command = [*PLANTGATE, "run", "--config", str(site / "gateway.toml")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        try:
            until = time.monotonic() + PATIENCE_S
            while not (site / "run/control.sock").exists():
                assert process.poll() is None, process.stderr and process.stderr.read()
                assert time.monotonic() < until
                time.sleep(0.05)
            yield
        finally:
            process.terminate()
            process.communicate(timeout=PATIENCE_S)


def asked(site: Path, *words: str) -> tuple[int, str]:
    command = [*PLANTGATE, "read", *words, "--config", str(site / "gateway.toml")]
    ended = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=PATIENCE_S, check=False)
    assert ended.stdout == ""
    return ended.returncode, ended.stderr.splitlines()[-1]


def test_nothing_to_read_is_a_sentence_and_no_none(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    sections: list[tuple[str, dict[str, Any]]] = [
        ("[site]", {"id": "s", "points": "points.csv"}),
        ("[gateway]", {"id": "g"}),
        ("[storage]", {"folder": tmp_path / "state"}),
        ("[runtime]", {"folder": tmp_path / "run"}),
        ("[[device]]", {"name": "plc", "driver": "modbus", "host": "127.0.0.1"}),
    ]
    write_configuration(tmp_path, sections, [])
    (tmp_path / "points.csv").write_text("位号,设备,地址\n", encoding="utf-8")

    def told() -> list[tuple[int, str]]:
        return [asked(tmp_path, *words) for words in ((), ("--lang", "en"), ("plc",), ("plx",))]

    alone = told()
    with gateway(tmp_path):
        assert told()[:3] == alone[:3]
    assert [code for code, _ in alone] == [Exit.USAGE] * 4
    everything, in_english, device, unknown = (line for _, line in alone)
    assert everything.startswith("E-NAME-NO-POINTS：点表里没有点，")
    assert "The point table has no points" in in_english
    assert device.startswith("E-NAME-NO-POINTS plc：这个设备没有点，")
    assert "是不是“plc”？" in unknown
