"""The contract suite over every driver, and over six broken ones that it must turn red for.

Each driver brings ``stage_NAME.py`` with ``STAGES``: name -> how to set its device up, and the promises it must keep.
"""

from __future__ import annotations

import asyncio
import importlib
from pathlib import Path

import broken_gauges
import pytest
import source_contract as contract
from added.gauge import GaugeSource, Line
from source_contract import Promise, Stage
from stage_gauge import gauges

import drivers

HERE = Path(__file__).parent
STAGES: dict[str, tuple[Stage, tuple[Promise, ...]]] = {}
for _path in sorted(HERE.glob("stage_*.py")):
    STAGES |= importlib.import_module(_path.stem).STAGES


def test_every_driver_has_its_stage() -> None:
    modules = {path.stem for path in Path(drivers.__file__).parent.glob("*.py")} - {"__init__"}
    staged = {name.partition("-")[0] for name in STAGES}
    assert modules - staged == set()


def keep(stage: Stage, promise: Promise, folder: Path) -> None:
    async def story() -> None:
        async with stage(folder) as subject:
            await promise(subject)

    asyncio.run(story())


@pytest.mark.parametrize(
    ("driver", "promise"),
    [
        pytest.param(name, promise, id=f"{name}-{promise.__name__}")
        for name, (_, promises) in STAGES.items()
        for promise in promises
    ],
)
def test_every_driver_keeps_every_promise(driver: str, promise: Promise, tmp_path: Path) -> None:
    stage, _ = STAGES[driver]
    keep(stage, promise, tmp_path)


@pytest.mark.parametrize(
    ("broken", "promise", "seen"),
    [
        (
            broken_gauges.AcceptsAForeignTransaction,
            contract.an_old_answer_is_never_taken_for_a_new_one,
            "a number that the device never showed",
        ),
        (
            broken_gauges.TearsAFloat,
            contract.a_value_is_never_torn,
            "a number that the device never showed",
        ),
        (
            broken_gauges.KeepsAStaleValueGood,
            contract.silence_is_told_in_time_and_nothing_stale_is_good,
            "a silent device is not said",
        ),
        (
            broken_gauges.SwallowsCancellation,
            contract.OF_EVERY_SOURCE[0],
            r"run\(\) did not end by cancellation",
        ),
        (
            broken_gauges.LeaksASocket,
            contract.OF_EVERY_SOURCE[0],
            "sockets left behind",
        ),
        (
            broken_gauges.SaysItOnce,
            contract.a_polling_driver_repeats_its_bad_points_in_every_period,
            "is not said in every period",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_suite_turns_red_for_a_broken_driver(
    broken: type[GaugeSource], promise: Promise, seen: str, tmp_path: Path
) -> None:
    leaked: list[Line] = []
    if broken is broken_gauges.LeaksASocket:
        broken_gauges.LeaksASocket.leaked = leaked

    async def story() -> None:
        async with gauges(tmp_path, broken) as subject:
            try:
                with pytest.raises(AssertionError, match=seen):
                    await promise(subject)
                await subject.line.mend()
                await contract.nan_is_never_good(subject)  # a promise that each of them keeps
            finally:
                for _, writer in leaked:
                    writer.transport.abort()
                await asyncio.sleep(0.01)

    asyncio.run(story())
