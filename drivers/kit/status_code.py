"""Decides what an OPC UA status code says about a value. Pure; numbers only, no protocol library."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from drivers.kit.quality import GOOD, Cause, QualityArray, Status, bad, quality

_SYMBOL_BITS: Final = 0xFFFF_0000
"""Severity and code; the rest is information about them (OPC 10000-4 section 7.39)."""
_INFO_TYPE: Final = 0x0C00
_IS_VALUE: Final = 0x0400
"""Only then do the next bits mean what follows."""
_LIMITS: Final = 0x0300
_LOW: Final = 0x0100
_OVERFLOW: Final = 0x0080

_CAUSES: Final = {
    0x8005_0000: Cause.COMM,  # BadCommunicationError
    0x8031_0000: Cause.COMM,  # BadNoCommunication
    0x808A_0000: Cause.COMM,  # BadNotConnected
    0x800A_0000: Cause.COMM,  # BadTimeout
    0x800C_0000: Cause.COMM,  # BadShutdown
    0x800D_0000: Cause.COMM,  # BadServerNotConnected
    0x800E_0000: Cause.COMM,  # BadServerHalted
    0x8034_0000: Cause.REFUSED,  # BadNodeIdUnknown
    0x8033_0000: Cause.REFUSED,  # BadNodeIdInvalid
    0x8035_0000: Cause.REFUSED,  # BadAttributeIdInvalid
    0x803A_0000: Cause.REFUSED,  # BadNotReadable
    0x801F_0000: Cause.REFUSED,  # BadUserAccessDenied
    0x8089_0000: Cause.REFUSED,  # BadConfigurationError
    0x808D_0000: Cause.MAINTENANCE,  # BadOutOfService
    0x803C_0000: Cause.OVER_RANGE,  # BadOutOfRange
    0x8032_0000: Cause.STARTUP,  # BadWaitingForInitialData
    0x408F_0000: Cause.COMM,  # UncertainNoCommunicationLastUsableValue
    0x4090_0000: Cause.COMM,  # UncertainLastUsableValue
    0x4092_0000: Cause.STARTUP,  # UncertainInitialValue
    0x4093_0000: Cause.CALIBRATION,  # UncertainSensorNotAccurate
    0x420A_0000: Cause.CALIBRATION,  # UncertainSensorCalibration
    0x4094_0000: Cause.OVER_RANGE,  # UncertainEngineeringUnitsExceeded
    0x40F2_0000: Cause.OVER_RANGE,  # UncertainOverRange
    0x40F3_0000: Cause.UNDER_RANGE,  # UncertainUnderRange
    0x4091_0000: Cause.MANUAL,  # UncertainSubstituteValue
    0x4208_0000: Cause.MANUAL,  # UncertainTransducerInManual
    0x4209_0000: Cause.SIMULATION,  # UncertainSimulatedValue
}
"""Codes of OPC 10000-4 section 7.39 and OPC 10000-8 section 6.3; any other is a fault of the device."""
_LOCAL_OVERRIDE: Final = 0x0096_0000
"""GoodLocalOverride: good for the server, but forced by hand, so it may raise an alarm and never clear one."""


def quality_of(status_code: int) -> int:
    """Quality byte of a 32-bit status code; the reserved severity 3 reads as bad."""
    severity = status_code >> 30
    symbol = status_code & _SYMBOL_BITS
    if severity == 0:
        return quality(Status.UNCERTAIN, Cause.MANUAL) if symbol == _LOCAL_OVERRIDE else GOOD
    cause = _CAUSES.get(symbol, Cause.DEVICE_FAULT)
    if cause is Cause.OVER_RANGE and status_code & (_INFO_TYPE | _LIMITS) == _IS_VALUE | _LOW:
        cause = Cause.UNDER_RANGE
    return quality(Status.UNCERTAIN, cause) if severity == 1 else bad(cause)


def qualities(status_codes: NDArray[np.uint32]) -> QualityArray:
    """Quality bytes of a column of status codes, uint8[n]; a table is made of the few that differ."""
    if not status_codes.any():
        return np.full(len(status_codes), GOOD, dtype=np.uint8)
    different, places = np.unique(status_codes, return_inverse=True)
    table = np.array([quality_of(code) for code in different.tolist()], dtype=np.uint8)
    column: QualityArray = table[places]
    return column


def overflows(status_codes: NDArray[np.uint32]) -> int:
    """How many of these values say that others before them were lost in the server's queue."""
    if not status_codes.any():
        return 0
    mask = np.uint32(_INFO_TYPE | _OVERFLOW)
    return int(np.count_nonzero((status_codes & mask) == (_IS_VALUE | _OVERFLOW)))
