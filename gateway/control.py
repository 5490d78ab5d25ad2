"""The control socket: who asks, may he, and the answer as one JSON line. Knows the house only as ``Answers``.

The kernel says who is at the other end (SO_PEERCRED), Unix groups say what he may; nobody types a password here.
"""

from __future__ import annotations

import asyncio
import grp
import logging
import os
import pwd
import socket
import stat
import struct
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

import orjson

from gateway.errors import Exit, UserFacingError
from gateway.plant import Config
from gateway.words import both, meant, reason, said

SOCKET_NAME: Final = "control.sock"
MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_CLIENTS: Final = 32
MAX_VIEWERS: Final = 24
"""Who may only look is let in up to here: the rest is left for those who silence and acknowledge."""
SEND_BUFFER_BYTES: Final = 4 << 20
"""Asked of the kernel, which gives what it may: the live list of a storm has 2 MB, and what does not fit at once waits
for further turns of the loop."""
IDLE_S: Final = 60.0
"""A client that asks nothing for so long, or takes no answer for so long, is let go."""
WATCH_S: Final = 1.0
"""One line of ``watch`` every so often."""
ANSWER_S: Final = 10.0
"""So long the client waits for an answer; the house answers from memory, within milliseconds."""
MAX_NAME: Final = 200
MAX_GUESSES: Final = 100
"""Names among which the one that may be meant is looked for: with ten thousand the loop would stand still."""
RANKS: Final = {"viewer": 0, "operator": 1, "engineer": 2}
_ROLES: Final = {
    role: both(f"{role}（{zh}）", role)
    for role, zh in (("viewer", "只看"), ("operator", "操作员"), ("engineer", "工程师"))
}
_FIELDS: Final = {
    name: both(f"{zh}（{name}）", name)
    for name, zh in (
        ("action", "处置措施"),
        ("alarm_id", "报警编号"),
        ("cause", "原因"),
        ("for_s", "时间"),
        ("id", "编号"),
        ("note", "备注"),
        ("point_id", "位号"),
        ("reason", "原因"),
        ("target", "对象"),
    )
}
"""What people write, by its field of a request."""
_CREDENTIALS: Final = struct.Struct("3i")

log = logging.getLogger("plantgate.control")


class Answers(Protocol):
    """What the house can be asked; called on the loop's thread, must not block."""

    def status(self, *, points: bool) -> dict[str, Any]:
        """How everything is; with ``points`` also every point's last value."""
        ...


@dataclass(frozen=True, slots=True)
class Peer:
    """Who is at the other end of the socket."""

    user: str
    role: str


@dataclass(frozen=True, slots=True)
class Deed:
    """One thing that can be asked for by name; ``gateway.desk`` has them.

    Attributes:
        role: the least role it needs.
        do: called on the loop's thread with the request and who asks; must not block. Raises UserFacingError.
    """

    role: str
    do: Callable[[Mapping[str, Any], Peer], object]


def socket_path(config: Config) -> Path:
    """Where the control socket of a configuration is."""
    return config.runtime_folder / SOCKET_NAME


def peer_of(connection: socket.socket, roles: Mapping[str, str]) -> Peer:
    """Who connected, as the kernel says, and the highest role of his groups (viewer without any).

    root and the gateway's own user are engineers.
    """
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, gid = _CREDENTIALS.unpack(credentials)
    try:
        user = pwd.getpwuid(uid).pw_name
        gids = os.getgrouplist(user, gid)
    except KeyError:
        user, gids = f"uid {uid}", [gid]
    if uid in (0, os.geteuid()):
        return Peer(user, "engineer")
    groups = set()
    for number in gids:
        with suppress(KeyError):
            groups.add(grp.getgrgid(number).gr_name)
    held = (role for group, role in roles.items() if group in groups)
    return Peer(user, max(held, key=RANKS.__getitem__, default="viewer"))


class ControlServer:
    """Serves the control socket.

    Args:
        config: names the socket's folder and the roles.
        answers: the house.
        deeds: everything else that can be asked for, by its ``op``.
    """

    def __init__(self, config: Config, answers: Answers, deeds: Mapping[str, Deed]) -> None:
        self._path = socket_path(config)
        self._roles = config.roles
        self._answers = answers
        self._deeds = deeds
        self._clients: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen.

        Raises:
            UserFacingError: another gateway listens there, or the folder cannot be used.
        """
        listening = _bound(self._path)
        self._server = await asyncio.start_unix_server(
            self._connected, sock=listening, limit=MAX_REQUEST_BYTES
        )

    async def close(self) -> None:
        """Let every client go and remove the socket."""
        if self._server is None:
            return
        self._server.close()
        self._path.unlink(missing_ok=True)
        for client in self._clients:
            client.cancel()
        if self._clients:
            await asyncio.wait(self._clients)
        # One turn of the loop, in which the aborted transports close their sockets.
        await asyncio.sleep(0)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer = peer_of(writer.get_extra_info("socket"), self._roles)
        most = MAX_VIEWERS if peer.role == "viewer" else MAX_CLIENTS
        if len(self._clients) >= most:
            writer.write(_line(_refusal(said("E-CONTROL-CROWDED", "", most=most))))
            writer.close()
            return
        client = asyncio.create_task(self._serve(reader, writer, peer), name="control client")
        self._clients.add(client)
        client.add_done_callback(self._clients.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        try:
            buffer = (socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
            writer.get_extra_info("socket").setsockopt(*buffer)
            while True:
                async with asyncio.timeout(IDLE_S):
                    line = await reader.readline()
                if not line:
                    break
                request = _request(line)
                if request.get("op") == "watch":
                    await self._watch(reader, writer)
                    break
                await _send(writer, self._answer(request, peer))
            writer.close()
        except ValueError:
            # The line is longer than the limit; what follows it cannot be told apart any more.
            writer.write(_line(_refusal(said("E-CONTROL-REQUEST", "", most=MAX_REQUEST_BYTES))))
            writer.close()
        except (OSError, TimeoutError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
            raise

    async def _watch(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        gone = asyncio.get_running_loop().create_task(reader.read(1), name="control watch")
        try:
            while not gone.done():
                await _send(writer, {"ok": True, "data": self._answers.status(points=True)})
                await asyncio.wait({gone}, timeout=WATCH_S)
        finally:
            gone.cancel()

    def _answer(self, request: dict[str, Any], peer: Peer) -> dict[str, Any]:
        try:
            return {"ok": True, "data": self._deed(request, peer)}
        except UserFacingError as error:
            return _refusal(error)
        except Exception as error:
            log.exception("the control socket could not answer %s", request.get("op"))
            return _refusal(said("E-INTERNAL", "", message=repr(error)))

    def _deed(self, request: dict[str, Any], peer: Peer) -> object:
        match request:
            case {"op": "status"}:
                return self._answers.status(points=request.get("points") is True)
            case {"op": "alarms"}:
                return self._answers.status(points=False)["alarms"]
            case {"op": "read"}:
                name = None if request.get("name") is None else text_of(request, "name", MAX_NAME)
                return _read(self._answers.status(points=True)["points"], name)
            case {"op": str(op)} if op in self._deeds:
                deed = self._deeds[op]
                _need(deed.role, peer)
                return deed.do(request, peer)
            case _:
                raise said("E-CONTROL-REQUEST", "", most=MAX_REQUEST_BYTES)


def text_of(request: Mapping[str, Any], name: str, most: int) -> str:
    """A field of a request that must be a text of 1 to ``most`` characters.

    Raises:
        UserFacingError: it is not.
    """
    value = request.get(name)
    if not isinstance(value, str) or not 0 < len(value.strip()) <= most:
        raise said("E-NAME-FIELD", "", field=_FIELDS.get(name, name), most=most)
    return value.strip()


def seconds_of(request: Mapping[str, Any], name: str, most_s: float) -> float:
    """A field of a request that must be a number of seconds above 0 and at most ``most_s``.

    Raises:
        UserFacingError: it is not.
    """
    value = request.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most_s:
        raise said("E-NAME-SECONDS", "", field=_FIELDS.get(name, name), most_s=f"{most_s:.15g}")
    return float(value)


def ask(path: Path, request: dict[str, Any]) -> Any:
    """Ask a running gateway one thing and wait for its answer.

    Raises:
        UserFacingError: E-CONTROL-ABSENT if none runs; whatever it answered if it refused.
    """
    for answer in _answers(path, request):
        return answer
    raise said("E-CONTROL-SILENT", str(path))


def watch(path: Path) -> Iterator[dict[str, Any]]:
    """The status with all points, once a second until the gateway stops.

    Raises:
        UserFacingError: as for ``ask``.
    """
    yield from _answers(path, {"op": "watch"})


def _answers(path: Path, request: dict[str, Any]) -> Iterator[Any]:
    try:
        asked = _line(request)
    except orjson.JSONEncodeError as error:
        raise said("E-NAME-ENCODING", "") from error
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(ANSWER_S)
        try:
            connection.connect(str(path))
            connection.sendall(asked)
            for line in connection.makefile("rb"):
                answer = orjson.loads(line)
                if not answer["ok"]:
                    raise _received(answer["error"])
                yield answer["data"]
        except (FileNotFoundError, ConnectionRefusedError) as error:
            raise said("E-CONTROL-ABSENT", str(path)) from error
        except PermissionError as error:
            raise said("E-CONTROL-PERMISSION", str(path)) from error
        except OSError as error:
            raise said("E-CONTROL-SILENT", str(path)) from error


def _bound(path: Path) -> socket.socket:
    """A bound socket; a stale one is removed, a living one is not.

    Its mode is 0666: who may do what is decided by the peer the kernel names, so that a role's Unix group is enough.
    """
    try:
        path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        _remove_stale(path)
        listening = socket.socket(socket.AF_UNIX)
        try:
            listening.bind(str(path))
            # Nobody can connect before listen(), so there is no moment with a wider mode.
            path.chmod(0o666)
            listening.setblocking(False)
        except OSError:
            listening.close()
            raise
    except OSError as error:
        raise said("E-CONTROL-FOLDER", str(path), reason=reason(error)) from error
    return listening


def _remove_stale(path: Path) -> None:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise said("E-CONTROL-OCCUPIED", str(path))
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
        except TimeoutError:
            pass
    raise said("E-CONTROL-RUNNING", str(path))


def _request(line: bytes) -> dict[str, Any]:
    try:
        request = orjson.loads(line)
    except orjson.JSONDecodeError:
        return {}
    return request if isinstance(request, dict) else {}


def guesses(written: str, names: Iterable[str]) -> list[str]:
    """At most ``MAX_GUESSES`` of the names: those that begin most alike."""
    ordered = sorted(names, key=str.casefold)
    at = bisect_left(ordered, written.casefold(), key=str.casefold)
    return ordered[max(0, at - MAX_GUESSES // 2) :][:MAX_GUESSES]


def _read(points: list[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    found = [point for point in points if name in (None, point["device"], point["name"])]
    if not found:
        names = {str(point[key]) for point in points for key in ("device", "name")}
        raise said("E-NAME-UNKNOWN", "", name=name, meant=meant(str(name), guesses(str(name), names)))
    return found


def _need(role: str, peer: Peer) -> None:
    if RANKS[peer.role] < RANKS[role]:
        raise said("E-REFUSED-ROLE", "", user=peer.user, role=_ROLES[peer.role], needed=_ROLES[role])


def _line(message: dict[str, Any]) -> bytes:
    return orjson.dumps(message, option=orjson.OPT_APPEND_NEWLINE | orjson.OPT_SERIALIZE_NUMPY)


async def _send(writer: asyncio.StreamWriter, message: dict[str, Any]) -> None:
    writer.write(_line(message))
    async with asyncio.timeout(IDLE_S):
        await writer.drain()


def _refusal(error: UserFacingError) -> dict[str, Any]:
    told = {
        language: f"{error.cause[language]}{gap}{error.remedy[language]}".strip()
        for language, gap in (("zh", ""), ("en", " "))
    }
    return {
        "ok": False,
        "error": {"code": error.code, "exit_code": int(error.exit_code), "place": error.place, **told},
    }


def _received(error: dict[str, Any]) -> UserFacingError:
    cause = {"zh": str(error["zh"]), "en": str(error["en"])}
    return UserFacingError(
        str(error["code"]), Exit(error["exit_code"]), str(error.get("place", "")), cause, {"zh": "", "en": ""}
    )
