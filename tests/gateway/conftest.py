"""A configuration that is right, to be made wrong at one spot."""

from __future__ import annotations

from pathlib import Path

import pytest

from hil.pki import Authority

GATEWAY_TOML = """\
[site]
id = "site-1"

[gateway]
id = "gw-1"
language = "zh"

[storage]
folder = "state"
quota = "1 GiB"

[runtime]
folder = "run"

[[device]]
name = "plc1"
driver = "modbus"
host = "127.0.0.1"
port = 1502

[[recipient]]
name = "province"
host = "localhost"
ca = "pki/ca.pem"
certificate = "pki/gw.pem"
private_key = "pki/gw.key"

[[output]]
name = "siren"
kind = "file"
path = "alarms.log"

[roles]
operators = "operator"
"""

POINTS_CSV = """\
位号,设备,地址,数据类型,高,指标编码:province
LT-101,plc1,40001,float32,9.5,C-1
XS-101,plc1,40003,uint16,,
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The folder of a right configuration with real certificates."""
    authority = Authority(tmp_path / "pki")
    own = authority.client("gw")
    authority.ca_file.replace(tmp_path / "pki/ca.pem")
    own.certificate.replace(tmp_path / "pki/gw.pem")
    own.key.replace(tmp_path / "pki/gw.key")
    (tmp_path / "gateway.toml").write_text(GATEWAY_TOML, "utf-8")
    (tmp_path / "points.csv").write_text(POINTS_CSV, "utf-8")
    return tmp_path
