"""What people do with alarms over a real control socket, with a real engine behind it."""

from __future__ import annotations

import asyncio
import os
import pwd
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from drivers.kit.quality import GOOD, Cause, bad
from drivers.kit.scan import Point, Scan
from gateway.alarm.conditions import Conditions
from gateway.alarm.limits import Limits
from gateway.alarm.people import Command
from gateway.control import ControlServer, Peer, ask, socket_path
from gateway.desk.alarms import deeds
from gateway.engine import Engine, Outcome, WatchedDevice
from gateway.errors import Exit, UserFacingError
from gateway.instant import Now
from gateway.plant import Config, PointConfig, StorageConfig
from gateway.status import held_counts, held_view

ME = pwd.getpwuid(os.geteuid()).pw_name
S = 10**9
POINTS = (
    PointConfig(Point("LT-1", "1"), limits=Limits(h=80.0), conditions=Conditions(latching=True)),
    PointConfig(Point("PT-1", "2"), limits=Limits(h=5.0)),
)


class House:
    """An engine with one alarm, and everything it decided since."""

    def __init__(self) -> None:
        self.now = Now(S, 1_700_000_000 * S)
        self.engine = Engine([WatchedDevice("plc", POINTS)], (), Now(0, self.now.utc_ns - S))
        self.outcomes: list[Outcome] = []
        self.read(85.0)

    def read(self, value: float, quality: int = GOOD) -> None:
        points, qualities = np.arange(2, dtype=np.uint16), np.array([quality, GOOD], dtype=np.uint8)
        scan = Scan("plc", "r", points, np.array([value, 1.0]), qualities, self.now.utc_ns, self.now.mono_ns)
        self.outcomes.append(self.engine.step([scan], self.now))

    def do(self, actor: str, command: Command) -> None:
        self.outcomes.append(self.engine.command(actor, command, self.now))

    @property
    def alarm_id(self) -> str:
        return self.engine.alarms["LT-1/high"].alarm_id

    def entries(self, kind: str = "operator_action") -> list[dict[str, Any]]:
        return [dict(entry.item) for out in self.outcomes for entry in out.entries if entry.kind == kind]

    def status(self, *, points: bool) -> dict[str, Any]:
        return {"held": held_counts(self.engine), "points": points}

    def held(self) -> list[dict[str, Any]]:
        return held_view(self.engine, self.now)


def at_the_socket(folder: Path, story: Callable[[House, Callable[..., Any]], None]) -> House:
    """Play a story with what a client does at the control socket."""
    config = Config("rev", "site", "gw1", "zh", StorageConfig(folder), folder, ())
    house = House()

    async def play() -> None:
        server = ControlServer(config, house, deeds(house.do, house.held))
        await server.start()
        try:
            path = socket_path(config)
            await asyncio.to_thread(story, house, lambda op, **more: ask(path, {"op": op, **more}))
        finally:
            await server.close()

    asyncio.run(play())
    return house


def refused(deed: Callable[[], Any]) -> UserFacingError:
    with pytest.raises(UserFacingError) as caught:
        deed()
    return caught.value


def test_acknowledged_returned_and_reset_by_the_user_the_kernel_names(tmp_path: Path) -> None:
    def story(house: House, client: Callable[..., Any]) -> None:
        alarm_id = house.alarm_id
        error = refused(lambda: client("reset", alarm_id=alarm_id))
        assert (error.code, error.exit_code) == ("E-REFUSED-RESET", Exit.REFUSED)
        assert client("ack", alarm_id=alarm_id, note="到场") == {"alarm_id": alarm_id, "acknowledged": True}
        house.read(20.0)
        assert house.engine.alarms["LT-1/high"].latched
        assert client("reset", alarm_id=alarm_id, reason="已查") == {"alarm_id": alarm_id, "reset": True}
        assert "LT-1/high" not in house.engine.alarms
        assert refused(lambda: client("reset", alarm_id=alarm_id)).code == "E-NAME-ALARM"

    told = at_the_socket(tmp_path, story).entries()
    assert [(one["action"], one["by"], one["reason"]) for one in told] == [
        ("ack", ME, "到场"),
        ("reset", ME, "已查"),
    ]


@pytest.mark.parametrize(
    ("begin", "end", "state"),
    [("shelve", "unshelve", "shelved"), ("out_of_service", "in_service", "out_of_service")],
)
def test_held_back_listed_and_released(tmp_path: Path, begin: str, end: str, state: str) -> None:
    def story(house: House, client: Callable[..., Any]) -> None:
        answer = client(begin, target="LT-1", for_s=1800, reason="换表")
        assert answer == {"target": "LT-1", "action": begin, "for_s": 1800}
        assert getattr(house.engine.alarms["LT-1/high"].state, state)
        house.now = Now(601 * S, house.now.utc_ns + 600 * S)
        (one,) = client("held")
        assert (one["action"], one["target"], one["by"], one["reason"]) == (begin, "LT-1", ME, "换表")
        assert (one["remaining_s"], one["until"]) == (1200, "2023-11-14T22:43:20.000Z")
        assert client("status")["held"][state] == 1
        assert client(end, target="LT-1")["action"] == end
        assert client("held") == []
        assert refused(lambda: client(end, target="LT-1")).code == "E-REFUSED-NOT-HELD"

    house = at_the_socket(tmp_path, story)
    assert [one["action"] for one in house.entries()] == [begin, end]
    assert not getattr(house.engine.alarms["LT-1/high"].state, state)


@pytest.mark.parametrize("op", ["shelve", "out_of_service"])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"reason": ""}, "E-NAME-FIELD"),
        ({"reason": "x" * 501}, "E-NAME-FIELD"),
        ({"for_s": 0}, "E-NAME-SECONDS"),
        ({"for_s": "30m"}, "E-NAME-SECONDS"),
        ({"for_s": 1e12}, "E-NAME-SECONDS"),
        ({"for_s": 31 * 86_400}, "E-REFUSED-LONG"),
        ({"target": "LT-9"}, "E-NAME-TARGET"),
    ],
)
def test_what_is_not_held_back_says_why(tmp_path: Path, op: str, fields: dict[str, Any], code: str) -> None:
    def story(_house: House, client: Callable[..., Any]) -> None:
        whole = {"target": "LT-1", "for_s": 60, "reason": "换表", **fields}
        error = refused(lambda: client(op, **whole))
        assert error.code == code
        if code == "E-REFUSED-LONG":
            assert ("8 小时" if op == "shelve" else "30 天") in error.line("zh")

    house = at_the_socket(tmp_path, story)
    assert (house.entries(), house.held()) == ([], [])


def test_a_test_is_marked_listed_and_ended_and_never_a_real_alarm(tmp_path: Path) -> None:
    def story(house: House, client: Callable[..., Any]) -> None:
        assert client("test", point_id="PT-1", value=6, for_s=60, reason="月检")["value"] == 6.0
        (one,) = client("held")
        assert (one["action"], one["target"], one["value"], one["by"]) == ("test", "PT-1", 6.0, ME)
        assert one["remaining_s"] == 60
        assert client("status")["held"]["tests"][0]["target"] == "PT-1"
        assert "PT-1/high" not in house.engine.alarms
        assert client("end_test", point_id="PT-1") == {"point_id": "PT-1", "action": "end_test"}
        assert refused(lambda: client("end_test", point_id="PT-1")).code == "E-NAME-NO-TEST"
        assert (
            refused(lambda: client("test", point_id="X", value=1, for_s=9, reason="a")).code
            == "E-NAME-TARGET"
        )
        for value in ("6", True, None):
            error = refused(
                lambda value=value: client("test", point_id="PT-1", value=value, for_s=9, reason="a")
            )
            assert error.code == "E-NAME-VALUE"
        assert refused(lambda: client("test", point_id="PT-1", value=6, for_s=601, reason="a")).code == (
            "E-REFUSED-LONG"
        )

    house = at_the_socket(tmp_path, story)
    assert [one["transition"] for one in house.entries("alarm_test")] == ["raise", "clear"]
    assert [change for out in house.outcomes[1:] for change in out.changes] == []


def test_what_the_design_suppresses_is_listed_beside_what_people_hold_back(tmp_path: Path) -> None:
    def story(house: House, client: Callable[..., Any]) -> None:
        house.read(85.0, bad(Cause.MAINTENANCE))
        assert client("held") == [{"action": "suppressed", "target": "LT-1", "reason": "maintenance"}]
        assert client("status")["held"]["suppressed"] == 1

    at_the_socket(tmp_path, story)


def test_roles() -> None:
    house = House()
    roles = {op: deed.role for op, deed in deeds(house.do, house.held).items()}
    assert roles == {
        **dict.fromkeys(("ack", "reset", "shelve", "unshelve"), "operator"),
        **dict.fromkeys(("out_of_service", "in_service", "test", "end_test"), "engineer"),
        "held": "viewer",
    }


def test_nobody_acts_in_anothers_name() -> None:
    house = House()
    acknowledge = deeds(house.do, house.held)["ack"].do
    acknowledge(
        {"op": "ack", "alarm_id": house.alarm_id, "by": "li", "actor": "li"}, Peer("wang", "operator")
    )
    assert house.entries()[0]["by"] == house.engine.alarms["LT-1/high"].ack_by == "wang"
    with pytest.raises(UserFacingError, match="E-NAME-FIELD"):
        acknowledge({"alarm_id": house.alarm_id, "note": ["x"]}, Peer("wang", "operator"))
