"""Errors that reach a person: place, cause and remedy in Chinese and English, and the exit code. Touches nothing."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

_CONTROL: Final = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), "·")
"""What would steer a terminal or begin another line, and what stands for it."""


class Exit(IntEnum):
    """Exit codes of the command line (DESIGN section 8); scripts rely on them, so they never change."""

    OK = 0
    CHECK_FAILED = 1
    USAGE = 2
    USER_FILE = 3
    UNREACHABLE = 4
    REFUSED = 5
    INTEGRITY = 6
    ENVIRONMENT = 7
    INTERNAL = 70


class UserFacingError(Exception):
    """Something a person can mend.

    Attributes:
        code: stable identifier, never translated, e.g. ``E-SPOOL-NEWER``.
        exit_code: what the command ends with.
        place: file:line:column, path, address or tag; "" if nowhere.
        cause: what is wrong, {"zh": …, "en": …}.
        remedy: what to do, {"zh": …, "en": …}.
    """

    def __init__(
        self, code: str, exit_code: Exit, place: str, cause: dict[str, str], remedy: dict[str, str]
    ) -> None:
        super().__init__(f"{code} {place}: {cause['en']} {remedy['en']}")
        self.code = code
        self.exit_code = exit_code
        self.place = place
        self.cause = cause
        self.remedy = remedy

    def line(self, language: str) -> str:
        """One line for people: ``CODE place: cause remedy``; what somebody typed or sent steers no terminal."""
        place = f" {self.place}" if self.place else ""
        opening, gap = (f"{self.code}{place}：", "") if language == "zh" else (f"{self.code}{place}: ", " ")
        return f"{opening}{self.cause[language]}{gap}{self.remedy[language]}".translate(_CONTROL)


class UserFileErrors(Exception):  # noqa: N818 - it is several errors, all at once
    """All mistakes of the user's files at once."""

    exit_code = Exit.USER_FILE

    def __init__(self, errors: list[UserFacingError]) -> None:
        super().__init__("; ".join(str(error) for error in errors))
        self.errors = errors
