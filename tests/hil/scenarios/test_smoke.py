"""The scenario that everything else stands on, as CI starts it."""

import json
import subprocess

import pytest

from hil.program import command


@pytest.mark.scenario
def test_smoke():
    ended = subprocess.run(
        [command(), "bench", "run", "smoke", "--json"],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    figures = json.loads(ended.stdout.splitlines()[-1])
    assert ended.returncode == 0, figures
    assert figures["verdict"] == "pass"
    assert figures["values_recorded"] == figures["values_read"] > 0
