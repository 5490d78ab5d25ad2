"""A day of 500 points through the gateway's own alarms, intake and record in virtual time: the same day every time.

The scans are posted as drivers post them, once a second (`hil.day` says what a day brings); engine, intake and spool
are the gateway's own, the spool's file lies on the disk of the temporary folder. There is no uplink. Operators
acknowledge, reset, shelve, take out of service and test; the gateway is restarted at noon; the clock is set twice.

Demanded: every transition that was told is in the record once, in order, with no number left out; two runs of one
seed have the same transitions and another seed others; no limit alarm was cleared but by a good value on the safe
side in the record; a second opinion (`hil.plain_judge`), one value at a time, comes to the same transitions for one
point in seventeen; nothing posted is missing; every kind of transition occurred; memory stays flat.
"""

from __future__ import annotations

import asyncio
import resource
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from buffer.record import LANES, Gap, Record
from buffer.settings import SpoolSettings
from buffer.spool import Spool
from drivers.kit.quality import QualityArray
from drivers.kit.scan import ValueArray
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.alarm.parts import TRANSITIONS
from gateway.alarm.people import Acknowledge, Command, Hold, RefusedError, Reset, Test, UnknownAlarmError
from gateway.beginning import held_back, standing
from gateway.codec import encode_item
from gateway.engine import Engine
from gateway.instant import Now, rfc3339, step_between_ns
from gateway.intake import Intake
from gateway.pending import Pending, gap_item
from gateway.sirens import Sirens
from hil.day import HOUR_S, POINTS, Day
from hil.day_judge import DayJudge, Digest, change_text
from hil.scenarios import Figures
from hil.second_opinion import SecondOpinion
from hil.virtual_time import SYNCHRONISED, AwaitedSpool, VirtualClock, VirtualLoop

BEGIN_NS: Final = 1_790_000_000 * 10**9
SECOND_NS: Final = 10**9
FLUSH_S: Final = 30.0
MEMORY_ROWS: Final = 600_000
PEOPLE_S: Final = 15
"""How often somebody looks at the alarms."""
DOWN_S: Final = 20
"""How long a restart takes."""
LOOK_S: Final = 900
"""How often the memory is looked at."""
MAX_GROWTH_MIB: Final = 16.0
"""Of the last three quarters."""
_PAGE_BYTES: Final = 8 << 20


@dataclass(frozen=True, slots=True)
class Story:
    """How much.

    Attributes:
        devices: each of ``POINTS`` points.
        span_s: virtual seconds.
        runs: of one seed.
        short_devices: of the two short days that are compared, and of the other seed's.
        short_s: their length.
        whole: every kind of transition must occur, and memory is judged.
    """

    devices: int = 10
    span_s: int = 24 * HOUR_S
    runs: int = 1
    short_devices: int = 4
    short_s: int = HOUR_S
    whole: bool = True


FULL: Final = Story()
LONG: Final = Story(runs=2)
SHORT: Final = Story(devices=4, span_s=HOUR_S, short_devices=2, short_s=600, whole=False)
SEED: Final = 4

Tamper = Callable[[Engine], None]
"""What a negative control does to an engine that begins."""


async def run(*, long: bool) -> Figures:
    """Play and judge."""
    return await play(LONG if long else FULL)


async def play(story: Story, tamper: Tamper | None = None) -> Figures:
    """Days in virtual time, in a thread of their own; a cancellation ends them at their next second."""
    stop = threading.Event()
    try:
        return await asyncio.to_thread(_judged, story, tamper, stop)
    finally:
        stop.set()


def _judged(story: Story, tamper: Tamper | None, stop: threading.Event) -> Figures:
    begun_s = time.monotonic()
    days = [_lived(Day(story.devices, story.span_s, SEED), SEED, tamper, stop) for _ in range(story.runs)]
    seconds = time.monotonic() - begun_s
    first = days[0]
    shorts = [
        _lived(Day(story.short_devices, story.short_s, seed), seed, None, stop).judge.changes.word
        for seed in (SEED, SEED, SEED + 1)
    ]
    problems = first.problems()
    if len({one.judge.changes.word for one in days}) > 1 or shorts[0] != shorts[1]:
        problems.append("two runs of one seed had different transitions")
    if shorts[1] == shorts[2]:
        problems.append("another seed had the same transitions")
    if story.whole:
        problems += [
            f"no {word} in the whole day" for word in TRANSITIONS if not first.judge.transitions[word]
        ]
        if first.growth_mib > MAX_GROWTH_MIB:
            problems.append(f"memory grew by {first.growth_mib:.1f} MiB")
    virtual_s = story.span_s * story.runs
    return {
        "verdict": "fail" if problems else "pass",
        "points": story.devices * POINTS,
        "virtual_s": virtual_s,
        "real_s": round(seconds, 1),
        "virtual_per_real": round(virtual_s / seconds),
        **first.figures(),
        "short_hashes": shorts,
        "problems": problems,
    }


# -- one day ------------------------------------------------------------------------------------------


class _Ear(Sirens):
    """No horn, no lamp: notes every change that is told to them."""

    def __init__(self) -> None:
        super().__init__((), "day")
        self.told = Digest()

    def sound(self, sirens: Iterable[AlarmChanged], changes: Sequence[AlarmChanged]) -> None:
        for change in changes:
            self.told.add(change_text(change.item("day")))
        super().sound(sirens, changes)


class _Lived:
    """A day as it is lived, and what is found out about it."""

    def __init__(self, day: Day, seed: int, tamper: Tamper | None, stop: threading.Event) -> None:
        self._day = day
        self._dice = Random(seed)
        self._tamper = tamper
        self._stop = stop
        self._points = [point for device in day.watched for point in device.points]
        self._opinion = SecondOpinion(day)
        self.judge = DayJudge(day.watched, self._opinion.tags)
        self.ear = _Ear()
        self.posted = 0
        self.refused = 0
        self.resident_mib: list[float] = []
        self.read_back = Digest()
        self.read_back_problems: list[str] = []

    @property
    def growth_mib(self) -> float:
        """Of the resident memory, from the first quarter of the day on."""
        from_quarter = self.resident_mib[len(self.resident_mib) // 4 :]
        return max(from_quarter, default=0.0) - (from_quarter[0] if from_quarter else 0.0)

    # -- what the intake tells its senders ------------------------------------------------------------

    def appended(self, records: Sequence[Record]) -> None:
        """See intake.Recipients."""
        self.judge.take(records)

    def volatile(self, number: int, change: AlarmChanged, now: Now) -> None:
        """See intake.Recipients."""
        del number, now
        self.read_back_problems.append(f"{change.name} was sent before it was durable")

    def recovered(self, seqs: dict[int, int]) -> None:
        """See intake.Recipients."""

    # -- the day --------------------------------------------------------------------------------------

    async def live(self, folder: Path) -> None:
        """From its first second to its last, with a restart in the middle."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        clock = VirtualClock(loop, BEGIN_NS)
        seconds = enumerate(self._day.seconds())
        noon_s = self._day.span_s // 2
        for until_s in (noon_s, self._day.span_s):
            async with self._house(folder, clock) as (intake, tasks):
                self._opinion.restart(clock.now())
                first_ns = (loop.now_ns // SECOND_NS + 1) * SECOND_NS
                looked = clock.now()
                for second, (values, qualities) in seconds:
                    if self._stop.is_set():
                        raise asyncio.CancelledError
                    await _until(loop, first_ns)
                    self._second(second, values, qualities, intake, clock.now())
                    await _until(loop, first_ns + SECOND_NS // 4)
                    self._people(second, intake, clock)
                    await _until(loop, first_ns + SECOND_NS // 2)
                    looked = _look_after(intake, looked, clock.now())
                    intake.beat()
                    self._opinion.look(clock.now())
                    first_ns += SECOND_NS
                    for task in tasks:
                        if task.done():
                            task.result()
                    if second % LOOK_S == 0:
                        self.resident_mib.append(_resident_mib())
                    if second + 1 == until_s:
                        break
            await asyncio.sleep(DOWN_S)

    @asynccontextmanager
    async def _house(
        self, folder: Path, clock: VirtualClock
    ) -> AsyncIterator[tuple[Intake, list[asyncio.Task[None]]]]:
        spool = AwaitedSpool(folder / "spool.db", SpoolSettings(), (), _gap_body)
        opened = await spool.start()
        engine = Engine(
            self._day.watched, standing(opened.state)[0], clock.now(), held=held_back(opened.state)
        )
        if self._tamper is not None:
            self._tamper(engine)
        intake = Intake(
            engine,
            Pending(MEMORY_ROWS),
            spool,
            self.ear,
            self,
            clock,
            config_rev="day",
            flush_s=FLUSH_S,
            capture=lambda _: None,
            alive=lambda: None,
        )
        intake.journal("start", {"at": rfc3339(clock.now().utc_ns)})
        loop = asyncio.get_running_loop()
        tasks = [loop.create_task(intake.evaluate()), loop.create_task(intake.persist())]
        try:
            yield intake, tasks
            intake.journal("stop", {"at": rfc3339(clock.now().utc_ns)})
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)
            if not await intake.flush_last():
                self.read_back_problems.append("the last flush did not end")
            await spool.close()

    def _second(
        self, second: int, values: ValueArray, qualities: QualityArray, intake: Intake, now: Now
    ) -> None:
        for scan in self._day.scans(second, values, qualities, now):
            intake.post(scan)
            self.posted += len(scan.points)
        self._opinion.see(second, values, qualities, now)

    def _people(self, second: int, intake: Intake, clock: VirtualClock) -> None:
        """What operators do in this second; the clock is set in the first and in the last quarter of the day."""
        engine = intake.engine
        if second == self._day.span_s // 4:
            clock.set_by(90 * SECOND_NS)
        if second == self._day.span_s * 3 // 4:
            clock.set_by(-45 * SECOND_NS)
        if second % PEOPLE_S:
            return
        for command in self._wishes(second, list(engine.alarms.values())):
            now = clock.now()
            try:
                intake.decide(engine.command("operator", command, now), now)
            except (RefusedError, UnknownAlarmError):
                self.refused += 1

    def _wishes(self, second: int, live: Sequence[Alarm]) -> Iterator[Command]:
        dice = self._dice
        for alarm in live:
            if not alarm.acknowledged and dice.random() < 0.1:
                yield Acknowledge(alarm.alarm_id, "seen")
            elif alarm.latched and not alarm.active and dice.random() < 0.2:
                yield Reset(alarm.alarm_id, "looked at")
        tag = dice.choice(self._points).point.name
        if second % (20 * PEOPLE_S) == 0 and live:
            yield Hold("shelve", dice.choice(live).condition, "known", 300.0)
            yield Hold("shelve", tag, "worked on", 600.0)
        if second % (40 * PEOPLE_S) == 0 and live:
            yield Hold("out_of_service", dice.choice(live).condition, "in repair", 900.0)
            yield Test(tag, 99.0, "proof", 60.0)

    # -- judging --------------------------------------------------------------------------------------

    def judge_record(self, folder: Path) -> None:
        """Read the record back as it lies on the disk."""
        spool = Spool.open(folder / "spool.db", SpoolSettings(), (), _gap_body)
        try:
            for lane in LANES:
                from_seq = 1
                while (batch := spool.read(lane, from_seq, 500, _PAGE_BYTES)).records:
                    from_seq = batch.next_seq
                    if lane == "alarm":
                        for record in batch.records:
                            self.read_back.add(record.leaf.hex())
        finally:
            spool.close()

    def problems(self) -> list[str]:
        """What is wrong with the day."""
        judge, told = self.judge, self.ear.told
        found = [*judge.problems, *self.read_back_problems]
        if (told.count, told.word) != (judge.changes.count, judge.changes.word):
            found.append(
                f"{told.count} transitions were told, the record holds {judge.changes.count}, or others"
            )
        if (self.read_back.count, self.read_back.word) != (judge.leaves.count, judge.leaves.word):
            found.append(
                f"{judge.leaves.count} changes became durable, {self.read_back.count} were read back"
            )
        if judge.readings < self.posted or judge.journal["gap"]:
            found.append(f"{self.posted} readings were posted, {judge.readings} are recorded")
        return found + self._opinion.differences(judge.kept)

    def figures(self) -> Figures:
        """For the JSON verdict."""
        judge = self.judge
        return {
            "transitions": judge.changes.count,
            "raises": judge.transitions["raise"],
            "hash": judge.changes.word,
            "by_transition": dict(sorted(judge.transitions.items())),
            "raises_by_type": dict(sorted(judge.types.items())),
            "judged_again": self._opinion.count,
            "readings": judge.readings,
            "commands_refused": self.refused,
            "memory_mib": round(max(self.resident_mib, default=0.0), 1),
            "memory_growth_mib": round(self.growth_mib, 1),
        }


def _lived(day: Day, seed: int, tamper: Tamper | None, stop: threading.Event) -> _Lived:
    lived = _Lived(day, seed, tamper, stop)
    with tempfile.TemporaryDirectory(prefix="plantgate-day-") as made:
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            runner.run(lived.live(Path(made)))
        lived.judge_record(Path(made))
    return lived


async def _until(loop: VirtualLoop, at_ns: int) -> None:
    await asyncio.sleep(max(0.0, (at_ns - loop.now_ns) / 1e9))


def _look_after(intake: Intake, before: Now, now: Now) -> Now:
    """As the house does: a clock that was set goes on record."""
    if step_ns := step_between_ns(before, now):
        intake.journal("clock_step", {"by_ms": step_ns // 1_000_000, "at": rfc3339(now.utc_ns)})
    return now


def _gap_body(gap: Gap) -> bytes:
    return encode_item("gap", gap_item(gap), SYNCHRONISED, "day")


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize() / 2**20
