"""One file per dialect, found by its name: ``plantgate/1`` is ``plantgate_1.py``. Knows none of them."""

from __future__ import annotations

import re
from importlib import import_module
from importlib.util import find_spec
from typing import Final

from gateway.uplink.message import Context, Dialect, DialectError

_NAME: Final = re.compile(r"[a-z][a-z0-9]*(/[0-9]+)?")


def exists(name: str) -> bool:
    """Whether there is a dialect of this name."""
    return _NAME.fullmatch(name) is not None and find_spec(_module(name)) is not None


def load(name: str, context: Context) -> Dialect:
    """The dialect of this name; one object serves every recipient that speaks it.

    Raises:
        DialectError: there is none.
    """
    if not exists(name):
        raise DialectError(f"there is no dialect {name!r}")
    dialect: Dialect = import_module(_module(name)).dialect(context)
    return dialect


def _module(name: str) -> str:
    return f"{__name__}.{name.replace('/', '_')}"
