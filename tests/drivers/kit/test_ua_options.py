"""Keys and rows of an OPC UA device: addresses with and without port, and what a row may say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from drivers.kit.errors import PointError
from drivers.kit.scan import Point
from drivers.kit.ua_options import Options, check_point


@pytest.mark.parametrize(
    ("url", "endpoint"),
    [
        ("opc.tcp://plc", "opc.tcp://plc:4840"),
        ("opc.tcp://plc/a/b", "opc.tcp://plc:4840/a/b"),
        ("opc.tcp://10.0.0.1:48010/", "opc.tcp://10.0.0.1:48010/"),
        ("opc.tcp://[fe80::1]", "opc.tcp://[fe80::1]:4840"),
        ("opc.tcp://[fe80::1]:1/x", "opc.tcp://[fe80::1]:1/x"),
    ],
)
def test_an_address_gets_its_port(url: str, endpoint: str) -> None:
    assert Options(url).endpoint == endpoint


@pytest.mark.parametrize(
    "url", ["", "http://plc", "opc.tcp://", "opc.tcp://:4840", "opc.tcp://plc:0", "opc.tcp://plc:65536", "plc:4840",
            "opc.tcp://plc :4840", "opc.tcp://a:b@plc", "opc.tcp://a@plc:4840/x"]
)  # fmt: skip
def test_what_is_no_address_is_refused_and_no_password_repeated(url: str) -> None:
    with pytest.raises(PointError) as caught:
        Options(url)
    assert caught.value.field == "url"
    assert "a:b" not in str(caught.value)


@pytest.mark.parametrize(
    ("more", "mode", "field"),
    [
        ({"type": "boool"}, "subscribe", "type"),
        ({"bit": 1}, "subscribe", "bit"),
        ({"scale": 0.0}, "subscribe", "scale"),
        ({"type": "string", "scale": 2.0}, "subscribe", "scale"),
        ({"type": "string", "range_lo": 2.0}, "subscribe", "range_lo"),
        ({"length": 4}, "subscribe", "length"),
        ({"fault_values": "-9999"}, "subscribe", "fault_values"),
        ({"status_point": "x"}, "subscribe", "status_point"),
        ({"heartbeat_point": "x"}, "subscribe", "heartbeat_point"),
        ({"decimals_point": "x"}, "subscribe", "decimals_point"),
        ({"raw_lo": 1.0}, "subscribe", "raw_hi"),
        ({"frozen_s": 60.0}, "subscribe", "frozen_s"),
        ({"period_s": 0.01}, "subscribe", "period_s"),
        ({"sample_deadband": -1.0}, "subscribe", "sample_deadband"),
        ({"sample_deadband": float("nan")}, "subscribe", "sample_deadband"),
        ({"sample_deadband": 1.0}, "poll", "sample_deadband"),
    ],
)
def test_a_row_that_does_not_fit_names_its_cell(more: dict[str, Any], mode: str, field: str) -> None:
    with pytest.raises(PointError) as caught:
        check_point(Point("a", "ns=2;s=a", **more), Options("opc.tcp://plc", mode=mode))
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("more", "mode"),
    [
        ({"frozen_s": 60.0}, "poll"),
        ({"sample_deadband": 0.5, "period_s": 0.1}, "subscribe"),
        ({"type": "string"}, "subscribe"),
        ({"raw_lo": 0.0, "raw_hi": 27648.0, "range_lo": 0.0, "range_hi": 100.0}, "subscribe"),
    ],
)
def test_a_row_that_fits_passes(more: dict[str, Any], mode: str) -> None:
    check_point(Point("a", "ns=2;s=a", **more), Options("opc.tcp://plc", mode=mode))


def fields(**more: Any) -> list[str]:
    with pytest.raises(PointError) as caught:
        Options(**{"url": "opc.tcp://plc", **more})
    return [error.field for error in (caught.value, *caught.value.others)]


def test_all_mistakes_of_a_device_are_told_at_once() -> None:
    assert fields(url="plc", mode="x", timeout_s=0.0) == ["url", "mode", "timeout_s"]
    assert fields(url="opc.tcp://192.168.10.999:4840") == ["url"]


@pytest.mark.parametrize(
    ("given", "missing"), [("certificate", "private_key"), ("private_key", "certificate")]
)
def test_a_certificate_and_its_key_go_together(given: str, missing: str) -> None:
    assert fields(**{given: Path("own")}) == [missing]


def test_all_mistakes_of_a_row_are_told_at_once() -> None:
    with pytest.raises(PointError) as caught:
        check_point(Point("A", "x", "float16", bit=1), Options("opc.tcp://plc"))
    assert [error.field for error in (caught.value, *caught.value.others)] == ["address", "type", "bit"]
