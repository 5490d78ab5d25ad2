from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

THRESHOLD = "15"
"""systemd-analyze counts tenths: exposure 1.5."""

NEEDED = (
    "DeviceAllow=char-ttyUSB rw",
    "DeviceAllow=char-ttyS rw",
    "DeviceAllow=char-ttyAMA rw",
    "DeviceAllow=char-gpiochip rw",
    "RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX",
)

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not on this machine (a chroot without systemd)",
)


def _exposed(unit: Path) -> int:
    return subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={THRESHOLD}", "--no-pager", unit],
        capture_output=True,
        check=False,
    ).returncode


@pytest.fixture
def unit_text(checkout: Path) -> str:
    return (checkout / "systemd/plantgate.service").read_text(encoding="utf-8")


def test_exposure_is_at_most_1_5_with_serial_gpio_and_network_allowed(checkout: Path, unit_text: str):
    assert [line for line in NEEDED if line not in unit_text.splitlines()] == []
    assert "PrivateDevices=yes" not in unit_text
    assert "PrivateNetwork=yes" not in unit_text
    assert _exposed(checkout / "systemd/plantgate.service") == 0


@pytest.mark.parametrize(
    "removed", ["NoNewPrivileges=", "SystemCallFilter=", "CapabilityBoundingSet=", "ProtectSystem="]
)
def test_a_unit_with_one_protection_less_is_refused(removed: str, unit_text: str, tmp_path: Path):
    weaker = tmp_path / "plantgate.service"
    lines = [line for line in unit_text.splitlines() if not line.startswith(removed)]
    assert len(lines) < len(unit_text.splitlines())
    weaker.write_text("\n".join(lines), encoding="utf-8")
    assert _exposed(weaker) != 0
