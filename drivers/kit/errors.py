"""Errors of the drivers, typed by what the caller must do. Touches nothing."""

from __future__ import annotations

from drivers.kit.quality import Cause


class PointError(ValueError):
    """The point table is wrong: the user must mend one cell.

    Attributes:
        field: the field of ``kit.scan.Point`` (= the point table's column) that is wrong.
        cause: what is wrong, {"zh": …, "en": …}.
        remedy: what to write instead, {"zh": …, "en": …}.
        point: tag of the point, where a whole list was checked; "" where the caller knows it.
        others: what else is wrong in the same row or table, found by the same check.
    """

    def __init__(self, field: str, cause: dict[str, str], remedy: dict[str, str], point: str = "") -> None:
        super().__init__(f"{field}: {cause['en']} {remedy['en']}")
        self.field = field
        self.cause = cause
        self.remedy = remedy
        self.point = point
        self.others: tuple[PointError, ...] = ()


class SourceError(Exception):
    """The device did not give an answer that may be used: its points turn bad with this cause; try again.

    Attributes:
        quality_cause: what the points' quality says.
        detail: one English sentence for the log and ``status``.
    """

    def __init__(self, quality_cause: Cause, detail: str) -> None:
        super().__init__(detail)
        self.quality_cause = quality_cause
        self.detail = detail


class WriteRefusedError(Exception):
    """A request that could write to a PLC was stopped before it reached a socket: a defect of this house."""
