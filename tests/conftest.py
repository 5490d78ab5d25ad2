"""What every test may rely on: tests marked ``root`` run where they can, and say why where they cannot."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

CAP_SYS_ADMIN = 21


def _may_mount() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> CAP_SYS_ADMIN & 1)


def pytest_runtest_setup(item: pytest.Item) -> None:
    if item.get_closest_marker("root") is None or _may_mount():
        return
    reason = "needs root (namespaces, loop devices, nspawn)"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{reason}; under CI=true that is a failure, not a skip")
    pytest.skip(reason)


@pytest.fixture(scope="session")
def checkout() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parents[1]
