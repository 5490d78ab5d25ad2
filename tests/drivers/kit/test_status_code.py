"""Status codes against asyncua's own table, an independent source of the numbers."""

from __future__ import annotations

import pytest
from asyncua.ua.status_codes import StatusCodes
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, Status, bad, quality, status_of
from drivers.kit.status_code import _CAUSES, quality_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Good", GOOD),
        ("GoodLocalOverride", GOOD),
        ("BadCommunicationError", bad(Cause.COMM)),
        ("BadNoCommunication", bad(Cause.COMM)),
        ("BadNotConnected", bad(Cause.COMM)),
        ("BadTimeout", bad(Cause.COMM)),
        ("BadNodeIdUnknown", bad(Cause.REFUSED)),
        ("BadNodeIdInvalid", bad(Cause.REFUSED)),
        ("BadAttributeIdInvalid", bad(Cause.REFUSED)),
        ("BadNotReadable", bad(Cause.REFUSED)),
        ("BadUserAccessDenied", bad(Cause.REFUSED)),
        ("BadConfigurationError", bad(Cause.REFUSED)),
        ("BadOutOfService", bad(Cause.MAINTENANCE)),
        ("BadOutOfRange", bad(Cause.OVER_RANGE)),
        ("BadWaitingForInitialData", bad(Cause.STARTUP)),
        ("BadSensorFailure", bad(Cause.DEVICE_FAULT)),
        ("BadDeviceFailure", bad(Cause.DEVICE_FAULT)),
        ("UncertainNoCommunicationLastUsableValue", quality(Status.UNCERTAIN, Cause.COMM)),
        ("UncertainLastUsableValue", quality(Status.UNCERTAIN, Cause.COMM)),
        ("UncertainInitialValue", quality(Status.UNCERTAIN, Cause.STARTUP)),
        ("UncertainSensorNotAccurate", quality(Status.UNCERTAIN, Cause.CALIBRATION)),
        ("UncertainEngineeringUnitsExceeded", quality(Status.UNCERTAIN, Cause.OVER_RANGE)),
        ("UncertainSubstituteValue", quality(Status.UNCERTAIN, Cause.MANUAL)),
        ("UncertainSubNormal", quality(Status.UNCERTAIN, Cause.DEVICE_FAULT)),
    ],
)
def test_each_code_by_its_name(name: str, expected: int) -> None:
    assert quality_of(getattr(StatusCodes, name)) == expected


def test_every_number_of_the_table_is_a_code() -> None:
    assert set(_CAUSES) <= {code for name, code in vars(StatusCodes).items() if not name.startswith("_")}


@given(st.integers(0, 2**32 - 1))
def test_severity_decides_and_the_reserved_one_is_bad(code: int) -> None:
    expected = {0: Status.GOOD, 1: Status.UNCERTAIN}.get(code >> 30, Status.BAD)
    assert status_of(quality_of(code)) is expected
