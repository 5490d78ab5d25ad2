"""Finds scenarios: ``hil/scenarios/<name>.py``, its name with ``-`` for ``_``. Runs none."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

Figures: TypeAlias = dict[str, Any]
"""What a scenario found out: ``verdict`` ("pass" or "fail") and its figures, ready for JSON."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A module of this package.

    Attributes:
        name: as on the command line.
        summary: first line of the module's docstring.
        run: its ``run(long=…)``.
    """

    name: str
    summary: str
    run: Callable[..., Awaitable[Figures]]


def names() -> list[str]:
    """Every scenario's name."""
    return sorted(found.name.replace("_", "-") for found in pkgutil.iter_modules(__path__))


def load(name: str) -> Scenario:
    """The scenario of this name, one of ``names()``."""
    module = importlib.import_module(f"{__name__}.{name.replace('-', '_')}")
    summary = (module.__doc__ or "").partition("\n")[0]
    return Scenario(name, summary, module.run)
