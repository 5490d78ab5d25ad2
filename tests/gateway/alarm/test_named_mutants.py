"""Five ways in which an alarm system must never break, each broken on purpose: the alarm scripts must see it.

The mutant stands in a copy of the package, which plays the scripts in a process of its own. ``make mutants`` breaks
everything else, one way at a time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PLAY = """
import sys
from pathlib import Path
import gateway
from gateway.replay.language import read_script
from gateway.replay.play import play
assert Path(gateway.__file__).is_relative_to(Path.cwd()), "not the copy"
for name in sys.argv[1:]:
    path = Path(name)
    for one in play(read_script(path.read_text(encoding="utf-8"), path.name))[1]:
        print(path.stem, one.line, one.text)
"""

MUTANTS = {
    "a limit is reached at its value": (
        "alarm/limits.py",
        "signed >= self._threshold[rows]",
        "signed > self._threshold[rows]",
        "limits",
    ),
    "the deadband lies on the return side": (
        "alarm/limits.py",
        "signed - deadbands",
        "signed + deadbands",
        "deadband",
    ),
    "a delay runs on the monotonic clock": (
        "engine.py",
        "self._bank.judge(rows, index, values, now.mono_ns, good, uncertain)",
        "self._bank.judge(rows, index, values, now.utc_ns, good, uncertain)",
        "on_delay",
    ),
    "a bad value moves nothing": (
        "engine.py",
        "good = None if unusable is None else ~unusable",
        "good = None",
        "quality",
    ),
    "an uncertain value never clears": (
        "alarm/limits.py",
        "violated |= uncertain[at][:, None] & self.active[rows[at]]",
        "violated |= uncertain[at][:, None] & self.active[rows[at]] & False",
        "quality",
    ),
    "a shelf ends by itself": (
        "alarm/holds.py",
        "self._put(one, now.mono_ns + for_ns)",
        "self._put(one, NEVER)",
        "shelving",
    ),
}
"""What holds -> (module, its text, what breaks it, the script that must see it)."""


@pytest.fixture(scope="module")
def package(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mutants")
    shutil.copytree(checkout / "gateway", folder / "gateway")
    return folder


def differences(package: Path, checkout: Path, scripts: list[str]) -> list[str]:
    """What the copy does otherwise than the scripts expect, a line each."""
    paths = [str(checkout / f"tests/gateway/alarms/{script}.txt") for script in scripts]
    done = subprocess.run(
        [sys.executable, "-c", PLAY, *paths],
        cwd=package,
        env=os.environ | {"PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "PYTHONUTF8": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    return done.stdout.splitlines()


def test_unbroken_the_scripts_happen_as_they_say(package: Path, checkout: Path):
    assert differences(package, checkout, sorted({script for *_, script in MUTANTS.values()})) == []


@pytest.mark.parametrize("promise", MUTANTS)
def test_broken_a_script_sees_it(promise: str, package: Path, checkout: Path):
    module, text, broken, script = MUTANTS[promise]
    path = package / "gateway" / module
    source = path.read_text(encoding="utf-8")
    times = source.count(text)
    assert times == 1, (
        f"gateway/{module} has {text!r} {times} times: the mutant of {promise!r} must follow the code"
    )
    path.write_text(source.replace(text, broken), encoding="utf-8")
    try:
        assert differences(package, checkout, [script]) != []
    finally:
        path.write_text(source, encoding="utf-8")
