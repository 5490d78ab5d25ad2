from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(r"(?:^|`|&& |\$ |/)plantgate ([a-z]+)", re.MULTILINE)
FIGURE = re.compile(r"\d+(?:[.,]\d+)*")


@pytest.fixture(scope="module")
def english(checkout: Path) -> str:
    return (checkout / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def chinese(checkout: Path) -> str:
    return (checkout / "README.zh-CN.md").read_text(encoding="utf-8")


def _sections(text: str) -> list[str]:
    return re.findall(r"^(#+) ", FENCE.sub("", text), re.MULTILINE)


def _commands(text: str) -> list[str]:
    """What stands in the fenced blocks, without remarks, which are in the page's own language."""
    lines = [re.sub(r"\s*#.*", "", line) for block in FENCE.findall(text) for line in block.splitlines()]
    return [line for line in lines if line.strip() and line.isascii()]


def _figures(text: str) -> list[list[str]]:
    """Figures of the tables: what a reader compares."""
    rows = [line for line in FENCE.sub("", text).splitlines() if line.startswith("|")]
    return [FIGURE.findall(row) for row in rows]


def test_both_languages_have_the_same_sections(english: str, chinese: str):
    assert _sections(english) == _sections(chinese)


def test_both_languages_give_the_same_commands(english: str, chinese: str):
    assert _commands(english) == _commands(chinese)
    assert _commands(english)


def test_both_languages_give_the_same_figures(english: str, chinese: str):
    assert _figures(english) == _figures(chinese)


def test_every_command_named_exists(checkout: Path, english: str, chinese: str):
    rooms = [path.read_text(encoding="utf-8") for path in checkout.glob("*/README.md")]
    named = {name for text in (english, chinese, *rooms) for name in COMMAND.findall(text)}
    assert named
    unknown = {
        name
        for name in named
        if subprocess.run(
            [Path(sys.executable).with_name("plantgate"), name, "--help"], capture_output=True, check=False
        ).returncode
    }
    assert unknown == set()
