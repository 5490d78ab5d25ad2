"""The commands as processes, against the real control socket with real outputs behind it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.config import load
from gateway.control import ControlServer
from gateway.desk.sirens import deeds
from gateway.errors import Exit
from gateway.instant import Now
from gateway.plant import OutputConfig
from gateway.sirens import Sirens

PROGRAM = "from gateway.cli import main; raise SystemExit(main())"


class Gateway:
    """A house of which only its horn answers."""

    def status(self, *, points: bool) -> dict[str, Any]:
        return {}


@pytest.fixture
def sirens(tmp_path: Path) -> Iterator[Sirens]:
    made = Sirens([OutputConfig("horn", "file", path=tmp_path / "horn", signal="horn")], "rev")
    made.begin([])
    yield made
    assert made.close() == []


def said(site: Path, sirens: Sirens, *words: str) -> tuple[int, str, str]:
    async def story() -> tuple[int, str, str]:
        offered = deeds(sirens, lambda entry: None, lambda: Now(0, 0))
        server = ControlServer(load(site / "gateway.toml"), Gateway(), offered)
        await server.start()
        try:
            command = [
                sys.executable,
                "-c",
                PROGRAM,
                "alarms",
                *words,
                "--config",
                str(site / "gateway.toml"),
            ]
            ended = await asyncio.to_thread(
                subprocess.run, command, capture_output=True, encoding="utf-8", timeout=60, check=False
            )
        finally:
            await server.close()
        assert "Traceback" not in ended.stderr, ended.stderr
        return ended.returncode, ended.stdout, ended.stderr

    return asyncio.run(story())


def test_silence(site: Path, sirens: Sirens):
    assert said(site, sirens, "silence") == (Exit.OK, "", "没有需要消音的报警。\n")
    code, out, _ = said(site, sirens, "silence", "--json")
    assert (code, json.loads(out)) == (Exit.OK, {"outputs": ["horn"], "count": 0, "alarms": []})


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ((), "试灯试音 5 秒：horn。"),
        (("--for", "12"), "试灯试音 12 秒：horn。"),
        (("--for", "1m", "--lang", "en"), "Testing for 60 s: horn."),
    ],
)
def test_lamp_test(site: Path, sirens: Sirens, words: tuple[str, ...], told: str):
    assert said(site, sirens, "lamp-test", *words) == (Exit.OK, "", f"{told}\n")
    assert sirens.view()[0]["on"]


@pytest.mark.parametrize(
    ("span", "code"), [("soon", "E-NAME-DURATION"), ("2m", "E-NAME-SECONDS"), ("0", "E-NAME-SECONDS")]
)
def test_a_lamp_test_of_no_time_or_too_long_is_refused(site: Path, sirens: Sirens, span: str, code: str):
    ended, _, told = said(site, sirens, "lamp-test", "--for", span)
    assert ended == Exit.USAGE
    assert code in told
    assert not sirens.view()[0]["on"]
