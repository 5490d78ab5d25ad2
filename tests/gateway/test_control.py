"""The control socket over real Unix sockets: who may do what, what is refused, what is left behind."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway import control
from gateway.control import ControlServer, Deed, Peer, ask, guesses, peer_of, seconds_of, text_of, watch
from gateway.errors import Exit, UserFacingError
from gateway.plant import Config, StorageConfig
from gateway.words import said


class House:
    """A house with two points and one alarm."""

    def __init__(self) -> None:
        self.acknowledged: list[tuple[str, str, str]] = []

    def status(self, *, points: bool) -> dict[str, Any]:
        view: dict[str, Any] = {"gateway_id": "gw1", "alarms": [{"alarm_id": "a1"}]}
        if points:
            view["points"] = [
                {"name": "LT-101", "device": "plc1", "value": 1.5},
                {"name": "LT-102", "device": "plc1", "value": None},
                {"name": "GT-1", "device": "gas", "value": 3.0},
            ]
        return view

    def acknowledge(self, request: Mapping[str, Any], peer: Peer) -> dict[str, Any]:
        alarm_id = text_of(request, "alarm_id", 100)
        if alarm_id == "defect":
            raise RuntimeError("planted")
        self.acknowledged.append((alarm_id, peer.user, str(request.get("note", ""))))
        return {"alarm_id": alarm_id}

    @property
    def deeds(self) -> dict[str, Deed]:
        return {"ack": Deed("operator", self.acknowledge)}


def config_in(folder: Path, **roles: str) -> Config:
    return Config("rev", "site", "gw1", "zh", StorageConfig(folder), folder, (), roles=roles)


@asynccontextmanager
async def serving(folder: Path, **roles: str) -> AsyncIterator[tuple[House, Path]]:
    house = House()
    config = config_in(folder, **roles)
    server = ControlServer(config, house, house.deeds)
    await server.start()
    try:
        yield house, control.socket_path(config)
    finally:
        await server.close()
        assert [task.get_name() for task in asyncio.all_tasks() if "control" in task.get_name()] == []
        assert not control.socket_path(config).exists()


def with_server(folder: Path, deed: Callable[[Path], Any], **roles: str) -> tuple[Any, House]:
    async def play() -> tuple[Any, House]:
        async with serving(folder, **roles) as (house, path):
            return await asyncio.to_thread(deed, path), house

    return asyncio.run(play())


def refused(deed: Callable[[], Any]) -> UserFacingError:
    with pytest.raises(UserFacingError) as caught:
        deed()
    return caught.value


def test_status_with_and_without_points(tmp_path: Path) -> None:
    def deed(path: Path) -> Any:
        return ask(path, {"op": "status"}), ask(path, {"op": "status", "points": True})

    (short, full), _ = with_server(tmp_path, deed)
    assert "points" not in short
    assert [point["name"] for point in full["points"]] == ["LT-101", "LT-102", "GT-1"]


def test_read_a_device_a_tag_or_everything(tmp_path: Path) -> None:
    def deed(path: Path) -> Any:
        return [
            [point["name"] for point in ask(path, {"op": "read", "name": name})]
            for name in ("plc1", "GT-1", None)
        ]

    found, _ = with_server(tmp_path, deed)
    assert found == [["LT-101", "LT-102"], ["GT-1"], ["LT-101", "LT-102", "GT-1"]]


def test_read_of_an_unknown_name_guesses(tmp_path: Path) -> None:
    error, _ = with_server(
        tmp_path, lambda path: refused(lambda: ask(path, {"op": "read", "name": "LT-103"}))
    )
    assert (error.code, error.exit_code) == ("E-NAME-UNKNOWN", Exit.USAGE)
    assert "LT-10" in error.line("en")
    assert "没有名为“LT-103”" in error.line("zh")


@pytest.mark.parametrize("name", [{}, [1], 7, "", "x" * 300])
def test_read_of_what_is_no_name_is_refused(tmp_path: Path, name: object) -> None:
    error, _ = with_server(tmp_path, lambda path: refused(lambda: ask(path, {"op": "read", "name": name})))
    assert error.code == "E-NAME-FIELD"


def test_guesses_among_many_names_are_few_and_near() -> None:
    names = {f"LT-{number:05d}" for number in range(10_000)}
    for written in ("lt-0712", "LT-07120x", "LT-0712O"):
        found = guesses(written, names)
        assert len(found) <= control.MAX_GUESSES
        assert "LT-07120" in found
    assert guesses("zz", {"LT-1"}) == ["LT-1"]


def test_acknowledge_carries_the_user_the_kernel_names(tmp_path: Path) -> None:
    _, house = with_server(tmp_path, lambda path: ask(path, {"op": "ack", "alarm_id": "a1", "note": "seen"}))
    assert house.acknowledged == [("a1", pwd.getpwuid(os.geteuid()).pw_name, "seen")]


def test_watch_repeats_until_the_client_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "WATCH_S", 0.01)

    def deed(path: Path) -> int:
        lines = watch(path)
        seen = [next(lines) for _ in range(3)]
        lines.close()  # type: ignore[attr-defined]  # the generator's own way of hanging up
        assert ask(path, {"op": "status"})["gateway_id"] == "gw1"
        return len(seen)

    assert with_server(tmp_path, deed)[0] == 3


def test_watch_ends_when_the_gateway_stops(tmp_path: Path) -> None:
    async def play() -> list[dict[str, Any]]:
        async with serving(tmp_path) as (_, path):
            lines = watch(path)
            first = await asyncio.to_thread(next, lines)
        return [first, *await asyncio.to_thread(list, lines)]

    assert len(asyncio.run(play())) >= 1


@pytest.mark.parametrize("line", [b"{not json}\n", b"[]\n", b'{"op":"write"}\n', b'{"op":7}\n', b"\xff\n"])
def test_a_request_nobody_understands_is_answered_and_the_next_one_works(tmp_path: Path, line: bytes) -> None:
    def deed(path: Path) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            lines = connection.makefile("rb")
            connection.sendall(line)
            refusal = json.loads(lines.readline())
            connection.sendall(b'{"op":"status"}\n')
            return refusal, json.loads(lines.readline())

    (refusal, answer), _ = with_server(tmp_path, deed)
    assert refusal["ok"] is False
    assert refusal["error"]["code"] == "E-CONTROL-REQUEST"
    assert refusal["error"]["zh"]
    assert answer["ok"] is True


@pytest.mark.parametrize("value", [None, 7, "", "  ", "x" * 101])
def test_a_field_that_must_be_a_text_is_named(value: object) -> None:
    error = refused(lambda: text_of({"reason": value}, "reason", 100))
    assert (error.code, error.exit_code) == ("E-NAME-FIELD", Exit.USAGE)
    assert "reason" in error.line("zh")


@pytest.mark.parametrize("value", [None, True, "30", 0, -1, 61, float("nan")])
def test_a_field_that_must_be_seconds_is_named_with_its_bound(value: object) -> None:
    error = refused(lambda: seconds_of({"for_s": value}, "for_s", 60))
    assert (error.code, "60" in error.line("en")) == ("E-NAME-SECONDS", True)


def test_fields_as_they_should_be() -> None:
    assert text_of({"reason": " 检修 "}, "reason", 2) == "检修"
    assert seconds_of({"for_s": 60}, "for_s", 60) == 60.0


def test_a_line_without_end_is_cut_off(tmp_path: Path) -> None:
    def deed(path: Path) -> Any:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(10)
            connection.connect(str(path))
            connection.sendall(b"x" * control.MAX_REQUEST_BYTES * 2)
            return json.loads(connection.makefile("rb").readline())

    answer, _ = with_server(tmp_path, deed)
    assert answer["error"]["code"] == "E-CONTROL-REQUEST"


def test_clients_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_CLIENTS", 1)

    def deed(path: Path) -> UserFacingError:
        with socket.socket(socket.AF_UNIX) as first:
            first.connect(str(path))
            return refused(lambda: ask(path, {"op": "status"}))

    error, _ = with_server(tmp_path, deed)
    assert error.code in {"E-CONTROL-CROWDED", "E-CONTROL-SILENT"}


def test_a_defect_of_the_house_is_answered_and_the_house_goes_on(tmp_path: Path) -> None:
    def deed(path: Path) -> Any:
        error = refused(lambda: ask(path, {"op": "ack", "alarm_id": "defect"}))
        return error, ask(path, {"op": "status"})

    (error, answer), _ = with_server(tmp_path, deed)
    assert (error.code, error.exit_code) == ("E-INTERNAL", Exit.INTERNAL)
    assert answer["gateway_id"] == "gw1"


def test_socket_is_for_user_and_group_only(tmp_path: Path) -> None:
    mode, _ = with_server(tmp_path, lambda path: stat.S_IMODE(path.stat().st_mode))
    assert mode == 0o666


def test_a_second_gateway_is_told_so_and_the_first_goes_on(tmp_path: Path) -> None:
    async def play() -> UserFacingError:
        async with serving(tmp_path) as (_, path):
            with pytest.raises(UserFacingError) as caught:
                await ControlServer(config_in(tmp_path), House(), {}).start()
            assert (await asyncio.to_thread(ask, path, {"op": "status"}))["gateway_id"] == "gw1"
            return caught.value

    error = asyncio.run(play())
    assert (error.code, error.exit_code) == ("E-CONTROL-RUNNING", Exit.ENVIRONMENT)


def test_a_socket_left_by_a_killed_gateway_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control.sock"))
        dead.listen()
    assert with_server(tmp_path, lambda path: ask(path, {"op": "status"}))[0]["gateway_id"] == "gw1"


def test_a_file_in_the_way_is_not_removed(tmp_path: Path) -> None:
    precious = tmp_path / "control.sock"
    precious.write_text("precious")
    with pytest.raises(UserFacingError) as caught:
        asyncio.run(ControlServer(config_in(tmp_path), House(), {}).start())
    assert (caught.value.code, caught.value.exit_code) == ("E-CONTROL-OCCUPIED", Exit.ENVIRONMENT)
    assert precious.read_text() == "precious"


@pytest.mark.parametrize("name", ["file/below", "x" * 120])
def test_a_folder_that_cannot_hold_it(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserFacingError) as caught:
        asyncio.run(ControlServer(config_in(tmp_path / name), House(), {}).start())
    assert (caught.value.code, caught.value.exit_code) == ("E-CONTROL-FOLDER", Exit.ENVIRONMENT)


@pytest.mark.parametrize("leave_socket", [False, True])
def test_no_gateway(tmp_path: Path, leave_socket: bool) -> None:
    path = tmp_path / "control.sock"
    if leave_socket:
        with socket.socket(socket.AF_UNIX) as dead:
            dead.bind(str(path))
    error = refused(lambda: ask(path, {"op": "status"}))
    assert (error.code, error.exit_code) == ("E-CONTROL-ABSENT", Exit.ENVIRONMENT)


ASK_AS_NOBODY = """
import os, socket, sys
os.setgroups([int(gid) for gid in sys.argv[2].split(",") if gid])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect(sys.argv[1])
    connection.sendall(b'{"op":"ack","alarm_id":"a1"}\\n')
    sys.stdout.write(connection.makefile().readline())
"""


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root to become somebody else"
)
@pytest.mark.parametrize(
    ("roles", "ok"), [({}, False), ({"nogroup": "viewer"}, False), ({"nogroup": "operator"}, True)]
)
def test_unix_groups_give_the_role(tmp_path: Path, roles: dict[str, str], ok: bool) -> None:
    def deed(path: Path) -> Any:
        path.chmod(0o666)
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o001)
        done = subprocess.run(
            [sys.executable, "-c", ASK_AS_NOBODY, str(path), ""], capture_output=True, check=True, timeout=30
        )
        return json.loads(done.stdout)

    answer, house = with_server(tmp_path, deed, **roles)
    assert answer["ok"] is ok
    if ok:
        assert house.acknowledged == [("a1", "nobody", "")]
    else:
        assert (answer["error"]["code"], answer["error"]["exit_code"]) == ("E-REFUSED-ROLE", Exit.REFUSED)
        assert house.acknowledged == []


def test_words_that_a_terminal_garbled_are_told_before_anybody_is_asked(tmp_path: Path) -> None:
    typed = "已处理".encode("gbk").decode("utf-8", "surrogateescape")
    error, house = with_server(
        tmp_path, lambda path: refused(lambda: ask(path, {"op": "ack", "alarm_id": "a1", "note": typed}))
    )
    assert (error.code, error.exit_code, house.acknowledged) == ("E-NAME-ENCODING", Exit.USAGE, [])
    assert "UTF-8" in error.line("zh")


HOLD_AS_NOBODY = """
import os, socket, sys
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
held = [socket.socket(socket.AF_UNIX) for _ in range(8)]
for connection in held:
    connection.connect(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


@pytest.mark.root
@pytest.mark.skipif(
    os.geteuid() != 0 and not os.environ.get("CI"), reason="needs root to become somebody else"
)
def test_who_only_looks_leaves_room_for_who_must_act(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "MAX_CLIENTS", 8)
    monkeypatch.setattr(control, "MAX_VIEWERS", 6)

    def deed(path: Path) -> Any:
        for folder in (tmp_path, *tmp_path.parents):
            if not folder.stat().st_mode & 0o001:
                folder.chmod(folder.stat().st_mode | 0o001)
        command = [sys.executable, "-c", HOLD_AS_NOBODY, str(path)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as viewer:
            assert viewer.stdin is not None
            assert viewer.stdout is not None
            assert viewer.stdout.readline() == b"held\n"
            answer = ask(path, {"op": "ack", "alarm_id": "a1"})
            viewer.stdin.close()
        return answer

    assert with_server(tmp_path, deed)[0] == {"alarm_id": "a1"}


def test_the_gateways_own_user_is_engineer() -> None:
    left, right = socket.socketpair(socket.AF_UNIX)
    with left, right:
        assert peer_of(left, {}).role == "engineer"


@pytest.mark.parametrize("language", ["zh", "en"])
def test_what_somebody_typed_steers_no_terminal(language: str) -> None:
    name = "a\x1b]0;x\x07\x9b2J\nE-FORGED"
    line = said("E-NAME-TARGET", name, name=name).line(language)
    assert line.isprintable(), line
    assert "a·]0;x··2J·E-FORGED" in line
