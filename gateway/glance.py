"""What a client must know of a configuration before anybody judges it: language and socket folder. Reads one file.

``status`` must work while the configuration on disk is half edited, and start without the weight of checking it.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFAULT_CONFIG: Final = Path("/etc/plantgate/gateway.toml")
DEFAULT_RUNTIME_FOLDER: Final = Path("/run/plantgate")
_SECTION: Final = re.compile(r"\s*\[+\s*([A-Za-z0-9_-]+)\s*\]+")
_TEXT: Final = re.compile(r"""\s*([A-Za-z0-9_-]+)\s*=\s*(["'])(.*?)\2\s*(?:#.*)?$""")


@dataclass(frozen=True, slots=True)
class Glance:
    """Two settings, the defaults where they cannot be told."""

    language: str = "zh"
    runtime_folder: Path = DEFAULT_RUNTIME_FOLDER


def glance(path: Path) -> Glance:
    """Look at a configuration without judging it; where a setting cannot be told, its default holds.

    A file that is no TOML, for somebody is in the middle of a line, is read line by line: the horn of the gateway that
    runs must be silenced all the same.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig", "replace")
    except OSError:
        return Glance()
    try:
        tree = tomllib.loads(text)
    except ValueError:
        tree = _by_lines(text)
    language = _setting(tree, "gateway", "language")
    folder = _setting(tree, "runtime", "folder")
    return Glance(
        "en" if language == "en" else "zh",
        path.absolute().parent / folder if isinstance(folder, str) else DEFAULT_RUNTIME_FOLDER,
    )


def _by_lines(text: str) -> dict[str, Any]:
    """Texts of plain ``key = "text"`` lines by section; of a key that stands twice the first."""
    tree: dict[str, Any] = {}
    table: dict[str, Any] = {}
    for line in text.splitlines():
        if section := _SECTION.match(line):
            table = tree.setdefault(section.group(1), {})
        elif setting := _TEXT.match(line):
            table.setdefault(setting.group(1), setting.group(3))
    return tree


def _setting(tree: dict[str, Any], section: str, key: str) -> object:
    table = tree.get(section)
    return table.get(key) if isinstance(table, dict) else None
