"""Decides how a wrong option of a driver is told to its user. Pure."""

from __future__ import annotations

from typing import Never

from drivers.kit.errors import PointError


def refuse(field: str, zh: str, en: str, write_zh: str, write_en: str) -> Never:
    """Say what is wrong with one key and what to write instead.

    Raises:
        PointError: always.
    """
    raise PointError(field, {"zh": zh, "en": en}, {"zh": f"请写{write_zh}。", "en": f"Write {write_en}."})


def within(field: str, value: float, low: float, high: float) -> None:
    """A number has its bounds.

    Raises:
        PointError: it is outside.
    """
    if not low <= value <= high:
        zh, en = f"{value} 超出范围。", f"{value} is out of range."
        refuse(field, zh, en, f" {low} 到 {high}", f"{low} to {high}")
