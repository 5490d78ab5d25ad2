"""Node addresses: what is one, which node it is on a server, and how a browsed node is written."""

from __future__ import annotations

import pytest

from drivers.kit.errors import PointError
from drivers.kit.ua_address import parse, with_uri

SPACES = ("http://opcfoundation.org/UA/", "urn:server", "urn:plant")


@pytest.mark.parametrize(
    ("written", "node"),
    [
        ("nsu=urn:plant;s=Tank 1;Level=3", "ns=2;s=Tank 1;Level=3"),
        (" ns=3;i=17 ", "ns=3;i=17"),
        ("i=2258", "ns=0;i=2258"),
        ("nsu=urn:nobody;s=a", None),
        ("ns=1;g=a3f0c7c2-0000-0000-0000-000000000001", "ns=1;g=a3f0c7c2-0000-0000-0000-000000000001"),
        ("ns=1;b=AAEC", "ns=1;b=AAEC"),
    ],
)
def test_an_address_is_a_node_on_a_server_that_knows_its_namespace(written: str, node: str | None) -> None:
    assert parse(written).on(SPACES) == node


@pytest.mark.parametrize(
    "written",
    [
        "",
        "s",
        "s=",
        "ns=70000;s=a",
        "ns=-1;s=a",
        "i=4294967296",
        "i=x",
        "i=１",
        "g=17",
        "b=***",
        "nsu=;s=a",
        "x=1",
    ],
)
def test_anything_else_is_refused(written: str) -> None:
    with pytest.raises(PointError):
        parse(written)


@pytest.mark.parametrize(
    ("node", "written"),
    [
        ("ns=2;s=a", "nsu=urn:plant;s=a"),
        ("i=85", "i=85"),
        ("ns=9;s=a", "ns=9;s=a"),
        ("nsu=urn:x;s=a", "nsu=urn:x;s=a"),
    ],
)
def test_a_browsed_node_is_written_with_its_uri(node: str, written: str) -> None:
    assert with_uri(node, SPACES) == written
