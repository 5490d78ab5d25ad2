"""What people may do with alarms, as data, and how long it may last. Pure types; the register carries it out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import orjson

from gateway.instant import rfc3339


@dataclass(frozen=True, slots=True)
class AlarmSettings:
    """Bounds of what people may do; ``[alarms]`` of the configuration.

    Attributes:
        shelf_longest_s: longest shelf.
        service_longest_s: longest time out of service.
        test_longest_s: longest test.
        second_person: a limit is changed by two.
    """

    shelf_longest_s: float = 8 * 3600.0
    service_longest_s: float = 30 * 86_400.0
    test_longest_s: float = 600.0
    second_person: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """A person has seen an alarm."""

    alarm_id: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Reset:
    """A latched alarm that has returned and was acknowledged may go."""

    alarm_id: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Hold:
    """Shelve, or take out of service, until a time that must be given.

    Attributes:
        kind: which of the two.
        target: a tag, a condition or an alarm's id.
        reason: why.
        for_s: how long, seconds.
    """

    kind: Literal["shelve", "out_of_service"]
    target: str
    reason: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Release:
    """End a shelf, or put back in service, before its time."""

    kind: Literal["unshelve", "in_service"]
    target: str
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Test:
    """Judge an injected value beside the real one, which is judged on.

    Attributes:
        point_id: the point's tag.
        value: engineering units.
        reason: why.
        for_s: how long.
    """

    point_id: str
    value: float
    reason: str
    for_s: float


@dataclass(frozen=True, slots=True)
class EndTest:
    """End a test before its time."""

    point_id: str


Command: TypeAlias = Acknowledge | Reset | Hold | Release | Test | EndTest


class UnknownAlarmError(LookupError):
    """No live alarm, condition or point has this name."""


class RefusedError(ValueError):
    """This cannot be done now.

    Attributes:
        code: what a person is told, see ``words``.
        facts: what goes into the sentence.
    """

    def __init__(self, code: str, **facts: object) -> None:
        super().__init__(code)
        self.code = code
        self.facts = facts


@dataclass(frozen=True, slots=True)
class Held:
    """A shelf or a time out of service that stands.

    Attributes:
        kind: which of the two.
        target: a tag (all its conditions) or a condition.
        by: who.
        reason: why.
        since_ns: UTC.
        until_ns: UTC.
    """

    kind: Literal["shelve", "out_of_service"]
    target: str
    by: str
    reason: str
    since_ns: int
    until_ns: int

    @property
    def key(self) -> str:
        """Where it is remembered over a restart."""
        return f"hold/{self.kind}/{self.target}"

    def item(self) -> dict[str, Any]:
        """As people see it and as it stands in the record."""
        return {
            "action": self.kind,
            "target": self.target,
            "by": self.by,
            "reason": self.reason,
            "since": rfc3339(self.since_ns),
            "until": rfc3339(self.until_ns),
        }

    def state_bytes(self) -> bytes:
        """As it survives a restart."""
        return orjson.dumps(self)


def held(state: bytes) -> Held:
    """The hold that ``state_bytes`` wrote.

    Raises:
        ValueError: these bytes are not one.
    """
    try:
        fields = {
            name: value for name, value in orjson.loads(state).items() if name in Held.__dataclass_fields__
        }
        return Held(**fields)
    except (orjson.JSONDecodeError, AttributeError, TypeError) as e:
        raise ValueError(f"not a hold: {e}") from e
