"""The language of alarm scripts: text -> ``Script``, or every mistake in it. Pure.

A process engineer writes them: points in the words of the point table, then a line per moment::

    # 高限含等号 / a high limit is inclusive
    point LT-101 h=80 hh=90 deadband=2
    1s   LT-101 80            -> raise LT-101/high H value=80
    2s   LT-101 bad comm      -> raise plc/comm COMM
    20s  ack LT-101/high by 王工 "阀门已关"
        stands LT-101/high H acknowledged last_known

Points go through the reader of the point table, so what is a mistake there is one here. Words may be Chinese.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from drivers.kit.quality import GOOD, Cause, Status
from drivers.kit.quality import quality as quality_of
from gateway.alarm.life import RANK
from gateway.alarm.parts import TRANSITIONS
from gateway.errors import UserFacingError, UserFileErrors
from gateway.plant import PointConfig
from gateway.replay.header import SUBJECTS, Header, number_of
from gateway.replay.script import (
    FACTS,
    Deed,
    Expected,
    Moment,
    NewLimits,
    Order,
    OrderKind,
    OwnPart,
    Read,
    Restart,
    Script,
    SetClock,
    Wait,
    seconds,
)
from gateway.replay.tokens import readings_of, tokens_of, uncommented
from gateway.sheet import plain
from gateway.words import meant, said

LONGEST_S: Final = 31 * 86_400.0
"""A script ends within so long."""
MOST_LINES: Final = 100_000

_TIME: Final = re.compile(r"([+-]?\d+(?:\.\d+)?)(s|秒|min|分|h|时)")
_UNIT_S: Final = {"s": 1.0, "秒": 1.0, "min": 60.0, "分": 60.0, "h": 3600.0, "时": 3600.0}

_HELD: Final = ("shelve", "out_of_service", "test")
"""Orders that last."""
_ORDERS: Final = ("ack", "reset", *_HELD, "unshelve", "in_service", "end_test")
_DEEDS: Final = ("wait", "restart", "clock", "gateway", "limits", *_ORDERS)
_STATUS: Final = {"good": Status.GOOD, "uncertain": Status.UNCERTAIN, "bad": Status.BAD}
_CAUSES: Final = {cause.word: cause for cause in Cause}


def read_script(text: str, file: str) -> Script:
    """Read a script.

    Args:
        text: of it.
        file: its name, for places.

    Raises:
        UserFileErrors: every mistake in it.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    reading = _Reading(file, Header(file))
    if not lines or not lines[0].startswith("#"):
        reading.wrong(1, "E-SCRIPT-TITLE")
    for number, line in enumerate(lines[:MOST_LINES], start=1):
        try:
            reading.take(number, line)
        except UserFacingError as error:
            reading.errors.append(error)
    if len(lines) > MOST_LINES:
        reading.wrong(MOST_LINES + 1, "E-SCRIPT-LONG", most=MOST_LINES)
    script = reading.finish(lines[0].lstrip("# ").strip() if lines else "")
    if reading.errors:
        raise UserFileErrors(sorted(reading.errors, key=_line_of))
    return script


@dataclass(slots=True)
class _Waiting:
    """A line of the second half, until the points are known."""

    line: int
    text: str
    at_ns: int
    tokens: list[str]
    expected: list[Expected] = field(default_factory=list)


@dataclass(slots=True)
class _Reading:
    """One pass over a script; collects mistakes instead of stopping at the first."""

    file: str
    header: Header
    errors: list[UserFacingError] = field(default_factory=list)
    waiting: list[_Waiting] = field(default_factory=list)
    until_ns: int = 0
    points: dict[str, list[PointConfig]] = field(default_factory=dict)
    rows: dict[str, tuple[str, int]] = field(default_factory=dict)

    def mistake(self, line: int, code: str, **facts: object) -> UserFacingError:
        return said(code, f"{self.file}:{line}", **facts)

    def wrong(self, line: int, code: str, **facts: object) -> None:
        self.errors.append(self.mistake(line, code, **facts))

    # -- lines ----------------------------------------------------------------------------------------

    def take(self, number: int, line: str) -> None:
        bare = uncommented(line)
        before, arrow, after = bare.replace("→", "->").partition("->")
        if not before.strip():
            if arrow:
                self._expect(number, after)
        elif before[0].isspace():
            self._expect(number, before)
        else:
            self._line(number, before.strip())
            if arrow:
                self._expect(number, after)

    def _line(self, number: int, text: str) -> None:
        tokens = tokens_of(text)
        if tokens[0] in SUBJECTS:
            if self.waiting:
                raise self.mistake(number, "E-SCRIPT-HEADER")
            self.header.take(number, tokens)
            return
        at_ns = self._time(number, tokens[0])
        if at_ns < self.until_ns:
            raise self.mistake(number, "E-SCRIPT-BACK", before=seconds(self.until_ns))
        self.until_ns = at_ns
        if tokens[1:2] == ["restart"]:
            self.until_ns += self._down_ns(number, tokens[1:])
        self.waiting.append(_Waiting(number, text, at_ns, tokens[1:]))

    def _time(self, number: int, token: str) -> int:
        found = _TIME.fullmatch(plain(token))
        if not found or not 0 <= float(found[1]) * _UNIT_S[found[2]] <= LONGEST_S:
            raise self.mistake(number, "E-SCRIPT-TIME", text=token)
        return round(float(found[1]) * _UNIT_S[found[2]] * 1e9)

    def finish(self, title: str) -> Script:
        """What the points are is known now, so the other lines can be understood."""
        if not self.errors:
            try:
                self.points = self.header.points()
                devices = self.header.devices(self.points)
            except UserFileErrors as mistakes:
                self.errors += mistakes.errors
        if self.errors:
            return Script(self.file, title, (), ())
        self.rows = {
            point.point.name: (device, row)
            for device, points in self.points.items()
            for row, point in enumerate(points)
        }
        moments = []
        for one in self.waiting:
            try:
                deed = self._deed(one.line, one.tokens)
                moments.append(Moment(one.line, one.text, one.at_ns, deed, tuple(one.expected)))
            except UserFacingError as error:
                self.errors.append(error)
            except UserFileErrors as mistakes:
                self.errors += mistakes.errors
        expects = any(moment.expected for moment in moments)
        balances = tuple(self.header.balances.values())
        return Script(self.file, title, devices, tuple(moments), balances, expects)

    # -- what happens ---------------------------------------------------------------------------------

    def _deed(self, number: int, tokens: list[str]) -> Deed:
        verb = tokens[0] if tokens else "wait"
        if verb == "restart":
            return Restart(self._down_ns(number, tokens))
        if verb == "clock":
            return self._clock(number, tokens[1:])
        if verb == "gateway":
            return self._own_part(number, tokens[1:])
        if verb == "limits":
            return self._limits(number, tokens[1:])
        if verb in _ORDERS:
            return self._order(number, verb, tokens[1:])  # type: ignore[arg-type]  # one of them
        return Wait() if verb == "wait" else self._readings(number, tokens)

    def _down_ns(self, number: int, tokens: list[str]) -> int:
        if len(tokens) == 1:
            return 0
        if len(tokens) != 3 or tokens[1] != "for":
            raise self.mistake(number, "E-SCRIPT-FORM", form="10s restart / 10s restart for 60s")
        return self._time(number, tokens[2])

    def _clock(self, number: int, tokens: list[str]) -> SetClock:
        found = _TIME.fullmatch(plain(tokens[0])) if tokens else None
        if not found:
            raise self.mistake(number, "E-SCRIPT-FORM", form="10s clock -3600s")
        return SetClock(round(float(found[1]) * _UNIT_S[found[2]] * 1e9))

    def _own_part(self, number: int, tokens: list[str]) -> OwnPart:
        if len(tokens) < 2:
            raise self.mistake(number, "E-SCRIPT-FORM", form="10s gateway disk hung / 20s gateway disk well")
        cause = " ".join(tokens[1:])
        return OwnPart(tokens[0], "" if cause == "well" else cause)

    def _limits(self, number: int, tokens: list[str]) -> NewLimits:
        tag = self._tag(number, tokens[0] if tokens else "")
        self.header.change(number, tag, tokens[1:])
        device, row = self.rows[tag]
        return NewLimits(tag, self.header.points()[device][row].limits)

    def _order(self, number: int, kind: OrderKind, tokens: list[str]) -> Order:
        value = ' "95"' if kind == "test" else ""
        last = " for 60s" if kind in _HELD else ""
        form = f'10s {kind} {"LT-101" if value else "LT-101/high"}{value}{last} by 王工 "…"'
        try:
            rest = iter(tokens)
            target, for_s, by, reason = next(rest), 0.0, "", ""
            injected = self._number(number, next(rest)) if kind == "test" else 0.0
            for word in rest:
                if word == "for":
                    for_s = self._time(number, next(rest)) / 1e9
                elif word == "by":
                    by = next(rest)
                else:
                    reason = word
        except StopIteration:
            raise self.mistake(number, "E-SCRIPT-FORM", form=form) from None
        return Order(kind, target, by, reason, for_s, injected)

    def _readings(self, number: int, tokens: list[str]) -> Read:
        readings: dict[str, dict[int, tuple[float, int]]] = {}
        for part in readings_of(tokens):
            places = self._meant(number, part[0])
            value, quality = self._reading(number, part[1:])
            for device, row in places:
                readings.setdefault(device, {})[row] = value, quality
        return Read({name: dict(sorted(rows.items())) for name, rows in readings.items()})

    def _meant(self, number: int, name: str) -> Sequence[tuple[str, int]]:
        """A point, or all points of a device."""
        if name in self.points:
            return [(name, row) for row in range(len(self.points[name]))]
        return [self.rows[self._tag(number, name)]]

    def _tag(self, number: int, name: str) -> str:
        if name not in self.rows:
            known = meant(name, [*self.rows, *self.points, *_DEEDS])
            raise self.mistake(number, "E-SCRIPT-WORD", name=name, meant=known)
        return name

    def _reading(self, number: int, tokens: list[str]) -> tuple[float, int]:
        value = math.nan
        rest = tokens
        if rest and rest[0] not in _STATUS:
            value, rest = self._number(number, rest[0]), rest[1:]
        elif not rest or rest[0] != "bad":
            raise self.mistake(number, "E-SCRIPT-FORM", form="10s LT-101 80.0 / 10s LT-101 bad comm")
        if not rest:
            return value, GOOD
        status, cause = rest[0], rest[1] if len(rest) > 1 else "none"
        if status not in _STATUS or cause not in _CAUSES or len(rest) > 2:
            name = status if status not in _STATUS else rest[-1]
            choices = tuple(_STATUS) if status not in _STATUS else tuple(_CAUSES)
            raise self.mistake(number, "E-SCRIPT-WORD", name=name, meant=meant(name, choices))
        return value, quality_of(_STATUS[status], _CAUSES[cause])

    def _number(self, number: int, token: str) -> float:
        return number_of(token, f"{self.file}:{number}")

    # -- what is expected -----------------------------------------------------------------------------

    def _expect(self, number: int, text: str) -> None:
        if not self.waiting:
            raise self.mistake(number, "E-SCRIPT-EXPECTED")
        for part in re.split("[;；]", text):
            tokens = tokens_of(part)
            if tokens:
                self.waiting[-1].expected.append(self._expected(number, part.strip(), tokens))

    def _expected(self, number: int, text: str, tokens: list[str]) -> Expected:
        at_ns = None
        if _TIME.fullmatch(plain(tokens[0])):
            at_ns, tokens = self._time(number, tokens[0]), tokens[1:]
        test = tokens[:1] == ["test"]
        tokens = tokens[test:] or [""]
        kind = tokens[0]
        kinds = (*TRANSITIONS, "stands", "gone", "refused", "journal", "nothing")
        if kind not in kinds:
            raise self.mistake(number, "E-SCRIPT-WORD", name=kind, meant=meant(kind, kinds))
        if kind == "nothing":
            return Expected(number, text, kind, "")
        if len(tokens) < 2:
            raise self.mistake(number, "E-SCRIPT-FORM", form=f"{kind} LT-101/high H")
        level = tokens[2] if len(tokens) > 2 and tokens[2] in RANK else ""
        facts = {"test": "yes"} if test else {}
        for token in tokens[3 if level else 2 :]:
            name, equals, value = token.partition("=")
            if name not in FACTS and kind != "journal":
                raise self.mistake(number, "E-SCRIPT-WORD", name=name, meant=meant(name, (*RANK, *FACTS)))
            facts[name] = value if equals else "yes"
        return Expected(number, text, kind, tokens[1], level, facts, at_ns)


def _line_of(error: UserFacingError) -> int:
    found = re.search(r":(\d+)", error.place)
    return int(found[1]) if found else 0
