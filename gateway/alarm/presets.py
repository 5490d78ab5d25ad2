"""Usual limits of gas points, by name, and which units say that a point is one. Pure; the point table asks for them.

The figures are starting points and site-specific: the table's own cells go before a preset, ``[preset.NAME]`` of
gateway.toml before what stands here. Limits: LL < L < H < HH; levels of gas alarms as in GB/T 50493.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

_GAS: Final = re.compile(r"(?<![a-z])(lel|lfl|oel)m?(?![a-z])|爆炸下限|接触限值")
"""A unit with this in it is gas: of the lower explosive limit (open path: LEL·m), of the exposure limit."""

_SPELLINGS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("lel", "lfl", "爆炸下限"), "%LEL"),
    **dict.fromkeys(("oel", "职业接触限值"), "%OEL"),
}
"""What is left of a unit without its decoration -> its usual spelling."""

_VOLUME: Final = frozenset({"vol", "v/v", "体积", "体积分数"})
_DECORATION: Final = str.maketrans("", "", "%()[]")


@dataclass(frozen=True, slots=True)
class Preset:
    """Limits that a row of the point table leaves to its preset, None where it has none.

    Attributes:
        unit: the only unit these figures hold for.
        ll: low low.
        l: low.
        h: high; level 1 of a gas alarm.
        hh: high high; level 2.
        deadband: of all of them, in the unit.
    """

    unit: str
    ll: float | None = None
    l: float | None = None  # noqa: E741 - the field's own name for it
    h: float | None = None
    hh: float | None = None
    deadband: float = 0.0

    def edges(self) -> dict[str, float]:
        """Its limits by column of the point table, from the lowest to the highest."""
        columns = (("ll", self.ll), ("l", self.l), ("h", self.h), ("hh", self.hh))
        return {column: value for column, value in columns if value is not None}

    def mistakes(self) -> Iterator[tuple[str, str, dict[str, object]]]:
        """What is wrong with it: the key, the code of the sentence, and its facts."""
        edges = self.edges()
        if not edges:
            yield "unit", "E-CONFIG-PRESET-EMPTY", {}
        for (low, low_value), (high, high_value) in pairwise(edges.items()):
            facts = {"low_key": low, "low": low_value, "high_key": high, "high": high_value}
            if low_value >= high_value:
                yield high, "E-CONFIG-PRESET-ORDER", facts
            elif low in ("ll", "l") and high in ("h", "hh") and self.deadband >= high_value - low_value:
                yield "deadband", "E-CONFIG-PRESET-DEADBAND", {**facts, "deadband": self.deadband}

    def edited(self, edges: Mapping[str, float], deadband: float | None) -> Preset:
        """With some of its figures replaced.

        Args:
            edges: limits by column of the point table.
            deadband: None to keep it.
        """
        kept = self.deadband if deadband is None else deadband
        return Preset(self.unit, **{**self.edges(), **edges}, deadband=kept)


PRESETS: Final[Mapping[str, Preset]] = {
    "combustible": Preset("%LEL", h=25.0, hh=50.0),
    "toxic": Preset("%OEL", h=100.0, hh=200.0),
    "oxygen": Preset("%vol", l=19.5, h=23.5),
}
"""What there is without any ``[preset.NAME]``."""

NAMES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("可燃气体", "可燃"), "combustible"),
    **dict.fromkeys(("有毒气体", "有毒"), "toxic"),
    **dict.fromkeys(("氧", "氧气"), "oxygen"),
}
"""Chinese names of the presets above."""


def preset_name(written: str) -> str:
    """The name as presets are kept by it, whatever its spelling: full width, capitals, Chinese."""
    folded = _folded(written)
    return NAMES.get(folded, folded)


def unit_meant(written: str) -> str:
    """A unit's usual spelling, for comparison; one that is not known here comes back folded."""
    folded = _folded(written)
    bare = folded.translate(_DECORATION)
    if bare in _VOLUME and "%" in folded:
        return "%vol"
    return _SPELLINGS.get(bare, folded)


def is_gas(unit: str) -> bool:
    """Whether a unit says that the point measures gas."""
    return _GAS.search(_folded(unit)) is not None


def _folded(text: str) -> str:
    return "".join(unicodedata.normalize("NFKC", text).casefold().split())
