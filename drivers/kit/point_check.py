"""Decides whether a Modbus device's points can be read as written, each by itself and all together. Pure."""

from __future__ import annotations

from drivers.kit.address import MAX_REGISTERS, Regions, locate
from drivers.kit.decode import scaling
from drivers.kit.errors import PointError
from drivers.kit.scan import Point


def check_point(point: Point, unit_id: int) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: a cell of it is wrong.
    """
    locate(point, unit_id)
    scaling(point.scale, point.offset)


def check_points(
    points: tuple[Point, ...],
    unit_id: int,
    *,
    max_registers: int = MAX_REGISTERS,
    unreadable: Regions = (),
    period_s: float | None = None,
) -> list[PointError]:
    """What is wrong between the points, each error with its ``point``; every point passed ``check_point``.

    Args:
        points: the device's point list.
        unit_id: unit identifier of points that name none.
        max_registers: most registers in one request.
        unreadable: what no request may touch.
        period_s: of points that name none, where the caller knows it.
    """
    return []
