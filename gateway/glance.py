"""What a client must know of a configuration before anybody judges it: language and socket folder. Reads one file.

``status`` must work while the configuration on disk is half edited, and start without the weight of checking it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

DEFAULT_CONFIG: Final = Path("/etc/plantgate/gateway.toml")
DEFAULT_RUNTIME_FOLDER: Final = Path("/run/plantgate")


@dataclass(frozen=True, slots=True)
class Glance:
    """Two settings, the defaults where they cannot be told."""

    language: str = "zh"
    runtime_folder: Path = DEFAULT_RUNTIME_FOLDER


def glance(path: Path) -> Glance:
    """Look at a configuration without judging it; whatever is wrong in it, the defaults hold."""
    try:
        tree = tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return Glance()
    language = _setting(tree, "gateway", "language")
    folder = _setting(tree, "runtime", "folder")
    return Glance(
        "en" if language == "en" else "zh",
        path.absolute().parent / folder if isinstance(folder, str) else DEFAULT_RUNTIME_FOLDER,
    )


def _setting(tree: dict[str, Any], section: str, key: str) -> object:
    table = tree.get(section)
    return table.get(key) if isinstance(table, dict) else None
