"""Tags and units of every version of the point table that a kept record may refer to. Pure; kept in the spool."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import orjson

from gateway.plant import Config
from gateway.uplink.message import PointNames

PREFIX: Final = "config/"
"""A version's list is kept as the spool's state ``config/<config_rev>``."""

CURRENT: Final = "config/current"
"""The version that ran last is kept here."""


class PointLists:
    """All known versions."""

    def __init__(self, state: Mapping[str, bytes]) -> None:
        self._lists: dict[tuple[str, str], PointNames] = {}
        for key, value in state.items():
            if key.startswith(PREFIX) and key != CURRENT:
                for device, (names, units) in orjson.loads(value).items():
                    self._lists[key.removeprefix(PREFIX), device] = PointNames(tuple(names), tuple(units))

    @staticmethod
    def state_of(config: Config) -> bytes:
        """How one version is kept in the spool."""
        return orjson.dumps(
            {
                device.device.name: ([p.point.name for p in device.points], [p.unit for p in device.points])
                for device in config.devices
            }
        )

    def add(self, config: Config) -> None:
        """The running version."""
        for device in config.devices:
            names = tuple(point.point.name for point in device.points)
            units = tuple(point.unit for point in device.points)
            self._lists[config.rev, device.device.name] = PointNames(names, units)

    def of(self, config_rev: str, device: str) -> PointNames:
        """What a scan's point indexes mean.

        Raises:
            KeyError: this version is not known here.
        """
        return self._lists[config_rev, device]
