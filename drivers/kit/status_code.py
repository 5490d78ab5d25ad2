"""Decides what an OPC UA status code says about a value. Pure; numbers only, no protocol library."""

from __future__ import annotations

from typing import Final

from drivers.kit.quality import GOOD, Cause, Status, bad, quality

_SYMBOL_BITS: Final = 0xFFFF_0000
"""Severity and code; the rest is information about them (OPC 10000-4 section 7.39)."""

_CAUSES: Final = {
    0x8005_0000: Cause.COMM,  # BadCommunicationError
    0x8031_0000: Cause.COMM,  # BadNoCommunication
    0x808A_0000: Cause.COMM,  # BadNotConnected
    0x800A_0000: Cause.COMM,  # BadTimeout
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
    0x4094_0000: Cause.OVER_RANGE,  # UncertainEngineeringUnitsExceeded
    0x4091_0000: Cause.MANUAL,  # UncertainSubstituteValue
}
"""Codes of OPC 10000-4 section 7.39 and OPC 10000-8 section 6.3; any other is a fault of the device."""


def quality_of(status_code: int) -> int:
    """Quality byte of a 32-bit status code; the reserved severity 3 reads as bad."""
    severity = status_code >> 30
    if severity == 0:
        return GOOD
    cause = _CAUSES.get(status_code & _SYMBOL_BITS, Cause.DEVICE_FAULT)
    return quality(Status.UNCERTAIN, cause) if severity == 1 else bad(cause)
