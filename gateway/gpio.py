"""One output line of a GPIO chip. Touches it through libgpiod, which only this file knows, and only when used."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from gpiod import LineRequest

CONSUMER: Final = "plantgate"
"""As ``gpioinfo`` names who holds the line."""

_REMEDIES: Final[dict[int, str]] = {
    errno.ENOENT: "no such chip; see ls /dev/gpiochip* and mend chip",
    errno.ENODEV: "this is no GPIO chip, or it is gone; see ls /dev/gpiochip* and mend chip",
    errno.ENOTTY: "this is no GPIO chip; see ls /dev/gpiochip* and mend chip",
    errno.EACCES: "not allowed; put the gateway's user into the group that owns the chip",
    errno.EPERM: "not allowed; put the gateway's user into the group that owns the chip",
    errno.EBUSY: "the line is held by another; see gpioinfo",
    errno.EINVAL: "the chip has no such line; see gpioinfo and mend line",
}
"""What is wrong and what helps, by what the kernel says."""


class LineError(Exception):
    """The line cannot be set; says place, cause and remedy."""


class Line:
    """One output line, requested at its first use and again after a failure. Belongs to one thread.

    Args:
        chip: path of the chip, e.g. ``/dev/gpiochip0``.
        offset: number of the line on it.
        active_low: "on" is a low level.
    """

    def __init__(self, chip: str, offset: int, *, active_low: bool) -> None:
        self._chip = chip
        self._offset = offset
        self._active_low = active_low
        self._request: LineRequest | None = None

    def set(self, *, on: bool) -> None:
        """Turn the line on or off; at the first time it starts out so, without a wrong level between.

        Raises:
            LineError: it cannot be.
        """
        try:
            import gpiod  # noqa: PLC0415 - a box without lines starts without it
            from gpiod.line import Direction, Value  # noqa: PLC0415 - as above
        except ImportError as e:
            raise LineError(f"{self._place}: libgpiod is missing ({e}); install the package gpiod") from e
        value = Value.ACTIVE if on else Value.INACTIVE
        try:
            if self._request is None:
                settings = gpiod.LineSettings(
                    direction=Direction.OUTPUT, active_low=self._active_low, output_value=value
                )
                self._request = gpiod.request_lines(self._chip, {self._offset: settings}, consumer=CONSUMER)
            else:
                self._request.set_value(self._offset, value)
        except OSError as e:
            self.close()
            told = _REMEDIES.get(e.errno or 0, e.strerror or str(e))
            raise LineError(f"{self._place}: {told}") from e

    def close(self) -> None:
        """Give the line back; which level it has from then on is the chip's affair."""
        if self._request is not None:
            self._request.release()
            self._request = None

    @property
    def _place(self) -> str:
        return f"{self._chip} line {self._offset}"
