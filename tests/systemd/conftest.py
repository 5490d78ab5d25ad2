"""A Debian 12 that boots in systemd-nspawn without any network, plantgate installed in it from the kit."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PACKAGES = "systemd,python3"
BOOT_TIMEOUT_S = 120
ORDERLY_STOP = signal.SIGRTMIN + 4
"""systemd as init takes it as "power off" (systemd(1), Signals)."""


@dataclass
class Machine:
    """A booted container."""

    root: Path
    leader: int

    def run(self, *command: str, check: bool = True) -> str:
        """Run a command inside and give its output; ``check`` raises when it fails, with what it said."""
        done = subprocess.run(
            [
                "nsenter",
                "-t",
                str(self.leader),
                "-a",
                "env",
                "-C",
                "/",
                "-i",
                "PATH=/usr/local/bin:/usr/sbin:/usr/bin",
                *command,
            ],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return (done.stdout + done.stderr).strip()

    def start(self) -> None:
        """Start plantgate.service; when it fails, raise with its journal."""
        said = self.run("systemctl", "start", "plantgate.service", check=False)
        assert self.unit("ActiveState") == "active", said + self.journal()

    def stop(self) -> None:
        """Stop plantgate.service."""
        self.run("systemctl", "stop", "plantgate.service")

    def journal(self) -> str:
        """The last lines of plantgate.service's journal."""
        return self.run("journalctl", "-u", "plantgate", "--no-pager", "-n", "40")

    def unit(self, prop: str) -> str:
        """One property of plantgate.service."""
        return self.run("systemctl", "show", "--property", prop, "--value", "plantgate.service")

    def wait_unit(self, prop: str, wanted: str, timeout_s: float = 60) -> None:
        """Wait until a property of plantgate.service has a value."""
        end = time.monotonic() + timeout_s
        while (now := self.unit(prop)) != wanted:
            assert time.monotonic() < end, f"{prop} is {now}, not {wanted}\n{self.journal()}"
            time.sleep(0.2)


@pytest.fixture(scope="session")
def debian_tar(checkout: Path) -> Path:
    """Debian 12's smallest system with systemd and python3, made once and kept in .cache/."""
    tar = checkout / ".cache" / f"bookworm-{platform.machine()}-{PACKAGES.replace(',', '-')}.tar"
    if not tar.exists():
        tar.parent.mkdir(exist_ok=True)
        fresh = tar.with_suffix(f".{os.getpid()}.tar")
        mirror = [os.environ["DEBIAN_MIRROR"]] if "DEBIAN_MIRROR" in os.environ else []
        subprocess.run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--include={PACKAGES}",
                "bookworm",
                str(fresh),
                *mirror,
            ],
            check=True,
            timeout=900,
        )
        fresh.rename(tar)
    return tar


@pytest.fixture(scope="session")
def kit(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The unpacked kit, made by the very script that ships it."""
    subprocess.run(["sh", "systemd/kit.sh", sys.executable], cwd=checkout, check=True, timeout=900)
    folder = tmp_path_factory.mktemp("kit")
    subprocess.run(["tar", "-xzf", checkout / "dist/plantgate-kit.tar.gz", "-C", folder], check=True)
    return folder / "plantgate-kit"


@pytest.fixture(scope="module")
def machine(debian_tar: Path, kit: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    root = tmp_path_factory.mktemp("machine") / "root"
    root.mkdir()
    subprocess.run(["tar", "-xf", debian_tar, "-C", root, "--exclude=./dev/*"], check=True)
    shutil.copytree(kit, root / "srv/plantgate-kit")
    with (root.parent / "console").open("wb") as console:
        nspawn = subprocess.Popen(
            [
                "systemd-nspawn",
                "-q",
                "-D",
                root,
                "--boot",
                "--register=no",
                "--keep-unit",
                "--private-network",
                "--console=pipe",
            ],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
        )
        leader = 0
        try:
            leader = _leader(nspawn)
            booted = Machine(root, leader)
            _wait_booted(booted)
            yield booted
        finally:
            if leader:
                os.kill(leader, ORDERLY_STOP)
            else:
                nspawn.terminate()
            try:
                nspawn.wait(timeout=60)
            except subprocess.TimeoutExpired:
                nspawn.kill()
                nspawn.wait()
            shutil.rmtree(root, ignore_errors=True)


def _leader(nspawn: subprocess.Popen[bytes]) -> int:
    """The process id, here outside, of the container's init."""
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    end = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < end:
        assert nspawn.poll() is None, "systemd-nspawn ended before the container booted"
        for child in children.read_text(encoding="ascii").split():
            if Path(f"/proc/{child}/comm").read_text(encoding="ascii").strip() == "systemd":
                return int(child)
        time.sleep(0.1)
    raise TimeoutError("the container's init did not appear")


def _wait_booted(machine: Machine) -> None:
    end = time.monotonic() + BOOT_TIMEOUT_S
    while machine.run("systemctl", "is-system-running", check=False) not in {"running", "degraded"}:
        assert time.monotonic() < end, "the container did not finish booting"
        time.sleep(0.2)
