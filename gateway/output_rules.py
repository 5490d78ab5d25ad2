"""What the keys of one ``[[output]]`` must be together. Looks at files, opens none."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from gateway.sections import OutputSection
from gateway.words import Text, both

_NEEDED: Final[dict[str, tuple[str, ...]]] = {
    "command": ("argv",),
    "file": ("path",),
    "gpio": ("chip", "line"),
}
_ALLOWED: Final[dict[str, tuple[str, ...]]] = {**_NEEDED, "gpio": ("chip", "line", "active_low")}
"""Keys of each kind; those of another kind say that it is meant otherwise."""


def output_mistake(
    output: OutputSection, given: Collection[str], made: Collection[Path]
) -> tuple[str, Text] | None:
    """What is wrong with an output.

    Args:
        output: each of its keys is right by itself.
        given: keys that stand in the file.
        made: folders that the service makes.

    Returns:
        the key and what helps, or None.
    """
    kind = output.kind
    others = {key for keys in _ALLOWED.values() for key in keys} - {*_ALLOWED[kind]}
    # An empty text or list is as good as none.
    missing = [key for key in _NEEDED[kind] if key not in given or getattr(output, key) in ("", ())]
    if foreign := sorted(others & {*given}):
        missing = foreign
    if missing:
        keys = ", ".join(_NEEDED[kind])
        return missing[0], both(f"kind = “{kind}”时只写 {keys}。", f'With kind = "{kind}" give {keys} only.')
    if kind == "command" and not (output.argv[0].startswith("/") and os.access(output.argv[0], os.X_OK)):
        zh = "第一项写一个存在且可执行的程序的绝对路径。"
        return "argv", both(
            zh, "The first item is the absolute path of a program that exists and may be run."
        )
    folder = output.path.parent if output.path is not None else None
    if folder is not None and not folder.is_dir() and folder not in made:
        zh = f"没有目录 {folder}：先建好它，或改正路径。"
        return "path", both(zh, f"There is no folder {folder}: make it, or mend the path.")
    if kind == "gpio" and not output.chip.startswith("/dev/"):
        return "chip", both(
            "写芯片的设备文件，如 /dev/gpiochip0。", "Write its device, such as /dev/gpiochip0."
        )
    if kind == "gpio" and output.signal == "changes":
        zh = "一条线只有通断：写 signal = “horn”或“lamp”。"
        return "signal", both(zh, 'A line is on or off: write signal = "horn" or "lamp".')
    if not output.priorities:
        return "priorities", both("写优先级 1–4 中至少一个。", "Name at least one priority, 1 to 4.")
    return None
