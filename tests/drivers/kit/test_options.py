"""A wrong option names its key, its bounds and a remedy in both languages."""

from __future__ import annotations

import math
from functools import partial

import pytest

from drivers.kit.errors import PointError
from drivers.kit.options import check_host, judge, plain_host, within


@pytest.mark.parametrize("value", [0, 11, math.nan, math.inf])
def test_outside_is_refused(value: float) -> None:
    with pytest.raises(PointError) as caught:
        within("port", value, 1, 10)
    assert caught.value.field == "port"
    for language in ("zh", "en"):
        assert "10" in caught.value.remedy[language]
        assert str(value) in caught.value.cause[language]


def test_the_bounds_themselves_are_inside() -> None:
    within("port", 1, 1, 10)
    within("port", 10, 1, 10)


def test_one_mistake_does_not_hide_another_and_a_key_is_told_once() -> None:
    with pytest.raises(PointError) as caught:
        judge(
            partial(within, "port", 0, 1, 10),
            partial(within, "port", 11, 1, 10),
            partial(within, "unit_id", 5, 1, 10),
            partial(judge, partial(within, "baud", 0, 1, 2), partial(within, "stop_bits", 0, 1, 2)),
        )
    assert [error.field for error in (caught.value, *caught.value.others)] == ["port", "baud", "stop_bits"]
    judge(partial(within, "port", 1, 1, 10))


@pytest.mark.parametrize(
    "host", ["192.168.10.11", "plc-1.plant.example", "localhost", "PLC_1", "fe80::1", "[::1]", "h"]
)
def test_an_address_or_a_name_is_a_host(host: str) -> None:
    check_host("host", host)


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("192.168.10.999", "IP 地址"),
        ("192.168.10", "IP 地址"),
        ("192.168.10.11:502", "port = 502"),
        ("plc1:502", "port = 502"),
        ("http://plc1", "主机名"),
        ("plc 1", "主机名"),
        ("1号罐", "主机名"),
        ("fe80::g", "主机名"),
    ],
)
def test_what_can_be_no_host(host: str, said: str) -> None:
    with pytest.raises(PointError) as caught:
        check_host("standby", host)
    assert caught.value.field == "standby"
    assert said in caught.value.cause["zh"] + caught.value.remedy["zh"]


def test_digits_of_an_input_method_are_plain() -> None:
    assert plain_host(" １９２．１６８。１０.１１ ") == "192.168.10.11"
