"""Decides what an OPC UA device's keys in gateway.toml and its rows in the point table may say. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from drivers.kit import ua_address
from drivers.kit.options import check_host, judge, refuse, within
from drivers.kit.point_check import PERIOD_LEAST_S, PERIOD_MOST_S
from drivers.kit.scaling import scale_of
from drivers.kit.scan import Point

DEFAULT_PORT: Final = 4840
FOLDER: Final = Path("/var/lib/plantgate/opcua")
"""Where certificates are kept if nothing else is said; it outlives a reinstallation."""
POLICIES: Final = ("Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss")
"""Older ones are broken or withdrawn (OPC 10000-7) and not offered."""
SECURITY_MODES: Final = ("SignAndEncrypt", "Sign")
IDENTITIES: Final = ("anonymous", "password", "certificate")
MODES: Final = ("subscribe", "poll")
TYPES: Final = frozenset(
    (
        *("bit", "bool", "boolean", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
        *("float32", "float64", "string"),
    )
)
"""What a point may be called; the server itself says how its bytes are read, so any number may be any of them."""
_URL: Final = re.compile(
    r"opc\.tcp://(?P<user>[^/@\s]*@)?(?P<host>\[[0-9A-Fa-f:.]+\]|[^/:@?#\s\[\]]+)(?::(?P<port>\d{1,5}))?(?P<path>(?:/\S*)?)"
)
_LAST_PORT: Final = 65_535
_MODBUS_ONLY: Final = (
    *("bit", "length", "fault_values", "status_point", "status_bits"),
    *("heartbeat_point", "heartbeat_s", "decimals_point"),
)
"""Columns that speak of registers: an OPC UA server says by its status what they say there."""
_NO_TEXT: Final = (
    ("scale", 1.0),
    ("offset", 0.0),
    ("raw_lo", None),
    ("raw_hi", None),
    ("range_lo", None),
    ("range_hi", None),
    ("frozen_s", None),
    ("sample_deadband", 0.0),
)
"""What a text has none of."""


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        url: ``opc.tcp://host:port/path`` of the server.
        security_policy: one of ``POLICIES``.
        security_mode: ``SignAndEncrypt`` or ``Sign``.
        insecure: no security at all instead of these two; a standing alarm.
        certificate: the gateway's own certificate, PEM or DER; None is ``FOLDER/own.der``, made if missing.
        private_key: its key, PEM or DER; None is ``FOLDER/own.key``.
        trusted: the server's certificate, or a folder of trusted ones; None is ``FOLDER/trusted``.
        rejected: folder for certificates nobody trusts yet; None is ``FOLDER/rejected``.
        application_uri: as in the own certificate; "" takes it from there.
        identity: ``anonymous``, ``password`` or ``certificate``.
        username: for ``identity = "password"``.
        password_file: its password, 0600 or a systemd credential.
        user_certificate: for ``identity = "certificate"``, PEM or DER.
        user_key: its key.
        mode: ``subscribe``, or ``poll`` for servers without subscriptions.
        sampling_ms: how often the server looks at a node whose point has no ``period_s``.
        publishing_ms: how often it tells us what changed.
        queue_size: values of one node it keeps between two publishes.
        history: read from the server's history what was missed while the line was down.
        timeout_s: how long an answer may take.
    """

    url: str
    security_policy: str = "Basic256Sha256"
    security_mode: str = "SignAndEncrypt"
    insecure: bool = False
    certificate: Path | None = None
    private_key: Path | None = None
    trusted: Path | None = None
    rejected: Path | None = None
    application_uri: str = ""
    identity: str = "anonymous"
    username: str = ""
    password_file: Path | None = None
    user_certificate: Path | None = None
    user_key: Path | None = None
    mode: str = "subscribe"
    sampling_ms: float = 1000.0
    publishing_ms: float = 500.0
    queue_size: int = 10
    history: bool = True
    timeout_s: float = 4.0

    def __post_init__(self) -> None:
        judge(
            partial(_check_url, self.url),
            partial(_one_of, "security_policy", self.security_policy, POLICIES),
            partial(_one_of, "security_mode", self.security_mode, SECURITY_MODES),
            partial(_one_of, "identity", self.identity, IDENTITIES),
            partial(_one_of, "mode", self.mode, MODES),
            self._check_pair,
            self._check_identity,
            partial(within, "sampling_ms", self.sampling_ms, 0, 3_600_000),
            partial(within, "publishing_ms", self.publishing_ms, 50, 60_000),
            partial(within, "queue_size", self.queue_size, 1, 1000),
            partial(within, "timeout_s", self.timeout_s, 0.1, 60),
        )

    def _check_pair(self) -> None:
        if (self.certificate is None) != (self.private_key is None):
            key = "private_key" if self.private_key is None else "certificate"
            zh, en = "本机证书和私钥要一起写。", "The gateway's own certificate and its key go together."
            refuse(key, zh, en, f"上 {key}，或两个都不写", f"{key}, too, or neither of the two")

    def _check_identity(self) -> None:
        if self.identity == "password" and not self.username:
            refuse("username", "没有用户名。", "There is no user name.", "用户名", "the user name")
        if self.identity == "password" and self.password_file is None:
            zh, en = "有用户名却没有密码文件。", "There is a user name but no password file."
            refuse("password_file", zh, en, "密码文件的路径", "the path of a password file")
        if self.identity == "certificate" and (self.user_certificate is None or self.user_key is None):
            zh, en = "用户证书和密钥要一起写。", "A user certificate and its key go together."
            refuse("user_certificate", zh, en, "两个文件的路径", "the paths of both files")
        if self.identity == "anonymous" and self.username:
            zh, en = "有用户名，身份却是匿名。", "There is a user name, but the identity is anonymous."
            refuse("identity", zh, en, ' identity = "password"', 'identity = "password"')

    @property
    def endpoint(self) -> str:
        """The address with its port."""
        match = _URL.fullmatch(self.url)
        assert match is not None, "checked when it was made"
        return f"opc.tcp://{match['host']}:{match['port'] or DEFAULT_PORT}{match['path']}"

    @property
    def own_files(self) -> tuple[Path, Path]:
        """Own certificate and key."""
        return self.certificate or FOLDER / "own.der", self.private_key or FOLDER / "own.key"

    @property
    def trusted_place(self) -> Path:
        """File or folder."""
        return self.trusted or FOLDER / "trusted"

    @property
    def rejected_folder(self) -> Path:
        """Where unknown certificates are kept."""
        return self.rejected or FOLDER / "rejected"


def _check_url(url: str) -> None:
    match = _URL.fullmatch(url)
    if match is not None and match["user"]:
        zh, en = "网址中不能写用户名和密码。", "An address holds no user name and password."
        refuse("url", zh, en, "到 username 和 password_file 中", "them as username and password_file")
    if match is None or not 1 <= int(match["port"] or DEFAULT_PORT) <= _LAST_PORT:
        refuse(
            "url",
            f"“{url}”不是 OPC UA 服务器地址。",
            f'"{url}" is not the address of an OPC UA server.',
            f" opc.tcp://主机:{DEFAULT_PORT}",
            f"opc.tcp://host:{DEFAULT_PORT}",
        )
    assert match is not None, "refuse always raises"
    check_host("url", match["host"])


def _one_of(key: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        words = ", ".join(known)
        zh, en = f"“{value}”不可用。", f'"{value}" cannot be used.'
        refuse(key, zh, en, f" {words} 之一", f"one of {words}")


def check_point(point: Point, options: Options) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    judge(
        partial(ua_address.parse, point.address),
        partial(_check_type, point),
        partial(scale_of, point),
        partial(_check_period, point),
        *(partial(_check_empty, point, column) for column in _MODBUS_ONLY),
        partial(_check_mode, point, options),
    )


def _check_type(point: Point) -> None:
    if point.type not in TYPES:
        known = ", ".join(sorted(TYPES))
        zh, en = f"不认识数据类型“{point.type}”。", f'The type "{point.type}" is not known.'
        refuse("type", zh, en, f"空，或 {known}", f"nothing, or one of {known}")
    if point.type == "string":
        for column, empty in _NO_TEXT:
            if getattr(point, column) != empty:
                refuse(column, "文本没有这一项。", "A text has none.", "空", "nothing")


def _check_period(point: Point) -> None:
    if point.period_s is not None:
        within("period_s", point.period_s, PERIOD_LEAST_S, PERIOD_MOST_S)


def _check_empty(point: Point, column: str) -> None:
    if getattr(point, column) not in (None, ""):
        zh, en = "OPC UA 的点没有这一项。", "An OPC UA point has nothing of the kind."
        refuse(column, zh, en, "空", "nothing")


def _check_mode(point: Point, options: Options) -> None:
    """What only a subscription knows, and what only polling can tell."""
    if point.frozen_s is not None and options.mode != "poll":
        zh = "订阅的值只在变化时发送，不能判断是否冻结。"
        en = "A subscribed value is sent only when it changes, so nothing says whether it is frozen."
        refuse("frozen_s", zh, en, '空，或设 mode = "poll"', 'nothing, or mode = "poll" for the device')
    if point.sample_deadband and options.mode == "poll":
        zh, en = "轮询的设备没有采集死区。", "A device that is polled has no deadband."
        refuse("sample_deadband", zh, en, "空", "nothing")
    if not point.sample_deadband >= 0:
        zh, en = "死区不能是负数。", "A deadband is not negative."
        refuse("sample_deadband", zh, en, " 0 或正数", "0 or a positive number")
