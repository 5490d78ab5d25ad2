"""`read --browse` as a process, against a real server: addresses that the point table takes."""

import json

import pytest
from rich.console import Console

from drivers.opcua import BrowseRow
from gateway.commands import browse
from gateway.errors import Exit
from hil.opcua_plc import NAMESPACE_URI


@pytest.fixture
def trusting(bench, gds):
    """The same gateway, trusting the server."""
    (gds / "trusted/plc.der").write_bytes(bench.server.certificate_der.read_bytes())
    return gds


def test_browsing_gives_addresses_that_the_point_table_takes(bench, trusting):
    ended = bench.run(trusting, "read", bench.strict.url, "--browse", "--json")
    assert ended.returncode == Exit.OK, ended.stderr
    nodes = {node["name"]: node for node in json.loads(ended.stdout)["nodes"]}
    assert nodes["GT-101"]["node"] == f"nsu={NAMESPACE_URI};s=GT-101"
    assert (nodes["GT-101"]["type"], nodes["GT-101"]["value"]) == ("Double", 12.5)
    assert (nodes["XG-201"]["type"], nodes["XG-201"]["value"]) == ("Boolean", True)
    rows = [{"tag": "T", "device": "gds", "address": nodes["GT-101"]["node"]}]
    (trusting / "points.csv").write_text("tag,device,address\n" + ",".join(rows[0].values()) + "\n", "utf-8")
    read = bench.run(trusting, "read", "T", "--json")
    assert json.loads(read.stdout)["points"][0]["value"] == 12.5


def test_browsing_as_a_table_by_the_devices_name(bench, trusting):
    ended = bench.run(trusting, "read", "gds", "--browse")
    assert ended.returncode == Exit.OK, ended.stderr
    line = next(line for line in ended.stdout.splitlines() if "GT-101" in line)
    assert line.split() == [f"nsu={NAMESPACE_URI};s=GT-101", "GT-101", "Double", "12.5", "Good"]
    assert "可直接粘贴到点表" in ended.stderr
    assert bench.strict.writes_seen == 0


def test_where_addresses_do_not_fit_they_stand_on_lines_of_their_own(
    capsys,
):
    long = 'nsu=urn:x;s="DB_Tankfarm"."Tank"[101]."Level"."Value".' + "x" * 80
    row = BrowseRow(long, 1, "Value", "variable", "Float", 4.75, "Good")
    browse.show([row], Console(width=80), "zh")
    assert capsys.readouterr().out.splitlines() == ["Value  Float  4.75  Good", long]


def test_browsing_from_a_root(bench, trusting):
    root = f"nsu={NAMESPACE_URI};s=GT-101"
    ended = bench.run(trusting, "read", "gds", "--browse", "--root", root, "--depth", 1, "--json")
    assert (ended.returncode, json.loads(ended.stdout)["nodes"]) == (Exit.OK, [])
    ended = bench.run(trusting, "read", "gds", "--browse", "--root", "GT-101")
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-BROWSE GT-101" in ended.stderr


def test_browsing_a_server_nobody_trusts_is_5_and_says_how_to_trust(bench, gds):
    ended = bench.run(gds, "read", bench.strict.url)
    assert ended.returncode == Exit.REFUSED
    assert "E-REFUSED-SERVER gds" in ended.stderr
    assert "plantgate opcua trust" in ended.stderr


def test_browsing_nothing_is_2(bench, gds):
    ended = bench.run(gds, "read", "--browse")
    assert ended.returncode == Exit.USAGE
    assert "E-NAME-BROWSE" in ended.stderr
