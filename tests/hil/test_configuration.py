"""What the bench writes is what a technician would write: the gateway reads it back."""

import csv
import tomllib
from pathlib import Path

from hil.configuration import write_configuration


def test_both_files_read_back_as_they_were_meant(tmp_path):
    tables = [
        ("[site]", {"id": "s", "points": "points.csv"}),
        ("[[device]]", {"name": 'a"b', "period_s": 0.5, "host": "127.0.0.1", "folder": Path("/x/y")}),
        ("[[output]]", {"argv": ["/bin/true", "响"], "on": True}),
    ]
    path = write_configuration(
        tmp_path, tables, [{"tag": "LT-101", "address": "40001"}, {"tag": "罐", "h": 2.5}]
    )
    assert tomllib.loads(path.read_text(encoding="utf-8")) == {
        "site": {"id": "s", "points": "points.csv"},
        "device": [{"name": 'a"b', "period_s": 0.5, "host": "127.0.0.1", "folder": "/x/y"}],
        "output": [{"argv": ["/bin/true", "响"], "on": True}],
    }
    with (tmp_path / "points.csv").open(encoding="gb18030", newline="") as file:
        assert list(csv.reader(file)) == [["位号", "地址", "高"], ["LT-101", "40001", ""], ["罐", "", "2.5"]]
