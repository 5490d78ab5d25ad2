"""`check`: what it notes beside the mistakes, as a process over real files."""

import os
import subprocess
import sys
from pathlib import Path

from gateway.errors import Exit

SITE = """
[site]
id = "s"
[gateway]
id = "g"
[[device]]
name = "gds"
driver = "opcua"
url = "opc.tcp://127.0.0.1:1"
trusted = "nowhere"
[[camera]]
name = "gate"
driver = "camera"
url = "rtsp://127.0.0.1/x"
"""


def test_a_server_nobody_trusts_yet_and_a_missing_package_are_notes_and_no_mistakes(tmp_path):
    (tmp_path / "gateway.toml").write_text(SITE)
    (tmp_path / "points.csv").write_text("tag,device,address\nA,gds,i=2258\n")
    ended = subprocess.run(
        [Path(sys.executable).with_name("plantgate"), "check", "--config", tmp_path / "gateway.toml"],
        env={**os.environ, "PATH": str(tmp_path)},
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (Exit.OK, "")
    assert "还没有信任服务器，先核对并执行 plantgate opcua trust（1）：gds" in ended.stdout
    assert "摄像机 gate 需要 ffmpeg" in ended.stdout
    assert "apt-get install --no-install-recommends ffmpeg" in ended.stdout
