"""What is watched on a point beside its limits, and on several points together. Pure types."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Conditions:
    """What the point table says of a point's alarms beside its limits.

    Attributes:
        rise_per_min: alarm when the value rises so fast, engineering units a minute; None for none.
        fall_per_min: likewise for falling, a positive number.
        rate_window_s: the rate is the slope over so long.
        deviation: alarm at so much above or below ``deviation_from``; None for none.
        deviation_deadband: distance to go back before that alarm returns.
        deviation_from: tag of a setpoint or twin point, or a fixed setpoint.
        latching: an alarm of this point stays until it is reset.
        re_alarm_s: an alarm still active so long after its acknowledgement wants another; 0 for never.
        first_out: group in which the first alarm is marked.
        suppressed_by: tag of a contact that suppresses this point's alarms by design.
        suppressed_on: the state of that contact which does.
        forecast: show the time to the next limit.
        delay_reason: why a gas point's alarms may wait; "" where nobody said so.
    """

    rise_per_min: float | None = None
    fall_per_min: float | None = None
    rate_window_s: float = 60.0
    deviation: float | None = None
    deviation_deadband: float = 0.0
    deviation_from: str | float = ""
    latching: bool = False
    re_alarm_s: float = 0.0
    first_out: str = ""
    suppressed_by: str = ""
    suppressed_on: int = 1
    forecast: bool = False
    delay_reason: str = ""


@dataclass(frozen=True, slots=True)
class Balance:
    """A mass balance over one tank: what its level says against what its flows say. An advisory.

    Attributes:
        name: unique; the condition is ``name/balance``.
        level: tag of the level.
        volume_per_unit: volume of one unit of the level, m3 (e.g. the tank's area for a level in m).
        inflows: tags of the flows in, m3/h.
        outflows: tags of the flows out, m3/h.
        window_s: the balance is drawn over so long.
        tolerance: volume it may be out by, m3.
    """

    name: str
    level: str
    volume_per_unit: float
    inflows: tuple[str, ...] = ()
    outflows: tuple[str, ...] = ()
    window_s: float = 600.0
    tolerance: float = 1.0
