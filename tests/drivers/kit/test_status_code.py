"""Status codes against asyncua's own table, an independent source of the numbers."""

from __future__ import annotations

import numpy as np
import pytest
from asyncua.ua.status_codes import StatusCodes
from hypothesis import given
from hypothesis import strategies as st

from drivers.kit.quality import GOOD, Cause, Status, bad, quality, status_of
from drivers.kit.status_code import _CAUSES, overflows, qualities, quality_of


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("Good", GOOD),
        ("GoodLocalOverride", quality(Status.UNCERTAIN, Cause.MANUAL)),
        ("UncertainSimulatedValue", quality(Status.UNCERTAIN, Cause.SIMULATION)),
        ("UncertainTransducerInManual", quality(Status.UNCERTAIN, Cause.MANUAL)),
        ("UncertainUnderRange", quality(Status.UNCERTAIN, Cause.UNDER_RANGE)),
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


@pytest.mark.parametrize(
    ("bits", "expected"), [(0, Cause.OVER_RANGE), (0x0600, Cause.OVER_RANGE), (0x0500, Cause.UNDER_RANGE)]
)
def test_limit_bits_tell_over_from_under(bits: int, expected: Cause) -> None:
    assert quality_of(StatusCodes.UncertainEngineeringUnitsExceeded | bits) == quality(
        Status.UNCERTAIN, expected
    )


@given(st.integers(0, 2**32 - 1))
def test_severity_decides_and_the_reserved_one_is_bad(code: int) -> None:
    override = code >> 16 == StatusCodes.GoodLocalOverride >> 16
    expected = {0: Status.UNCERTAIN if override else Status.GOOD, 1: Status.UNCERTAIN}.get(
        code >> 30, Status.BAD
    )
    assert status_of(quality_of(code)) is expected


@given(st.lists(st.sampled_from([0, 0x480, 0x80340000, 0x40900000, 0x2C0]), max_size=30))
def test_a_column_is_its_values_and_lost_ones_are_counted(codes: list[int]) -> None:
    column = np.array(codes, dtype=np.uint32)
    assert qualities(column).tolist() == [quality_of(code) for code in codes]
    assert overflows(column) == codes.count(0x480)
