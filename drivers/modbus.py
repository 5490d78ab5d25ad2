"""Reads Modbus devices over TCP, RTU or by listening, and posts their columns. Decides no value and no plan.

Requests are built by pymodbus (its request classes and its framers) once per block; over TCP they only get a new
transaction identifier per poll. Its client is not used: it accepts answers with transaction 0, of another function
code or too short, holds one lock through retries and builds a list of ints per answer; the checks it leaves out
are few (``kit.mbap``, ``kit.rtu``), and without it a poll costs about what a bare asyncio read costs.

Read-only by construction: ``encode_request`` knows four reading requests and no other, and ``send`` of each link
(``wire.modbus_link``), the one line that writes, looks at every frame again. Listening opens nothing for writing.

Longer than 400 lines, because a driver is one file: options, the life of one polled device, and of one overheard.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache, partial
from typing import Final, NamedTuple
from weakref import WeakKeyDictionary

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.bit_message import ReadCoilsRequest, ReadDiscreteInputsRequest
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.kit import mbap, point_check, rtu
from drivers.kit.address import MAX_REGISTERS, READING_FUNCTION_CODES, Regions, parse_regions
from drivers.kit.contract import Post, Source, SourceState
from drivers.kit.decode import Decoder, compile_plan
from drivers.kit.errors import PointError, SourceError, WriteRefusedError
from drivers.kit.judgement import Judge
from drivers.kit.options import check_host, judge, plain_host, refuse, within
from drivers.kit.overhear import Overhearing
from drivers.kit.overheard import OVERHEARD_PERIODS, Overheard
from drivers.kit.pace import Agenda, Load, period_ns
from drivers.kit.patience import UNIT_ABSENT, Patience, cause_of_exception
from drivers.kit.planner import Block, groups, plan
from drivers.kit.quality import Cause, QualityArray
from drivers.kit.scan import Device, IndexArray, Point, Scan, ValueArray, missed
from drivers.wire.bell import Beat, beat, sleep_until
from drivers.wire.modbus_link import Ear, Link, RtuLink, SilentError, Wired
from drivers.wire.serial import BAUDS, PARITIES, Line, open_line

TRANSPORTS: Final = ("tcp", "rtu", "rtu_over_tcp", "listen")
ON_A_LINE: Final = ("rtu", "listen")
BACKOFF_FIRST_S: Final = 0.25
BACKOFF_MAX_S: Final = 5.0
"""The wait before a new connection is drawn from 0 to a bound that doubles between these two."""
ROUNDS_TO_REOPEN: Final = 3
"""After so many rounds in a row with questions but no answer at all the connection is taken for half open."""
PROBE_SHARE: Final = 0.8
"""Silent units are asked for this share of the time left before the next scan, so that the scan is not late."""
FAIR_PROBE_S: Final = 0.2
"""Each gets this at least (or what is left, if that is less); those for whom there is no time are first next time."""
MIN_PROBE_S: Final = 0.02
"""With less time than this a silent unit is not asked."""
BUS_SHARE: Final = 0.05
"""Where scans leave too little time for a silent unit, it may take this share of the line all the same."""
MEMO_LAYOUTS: Final = 256
"""So many different layouts of devices are worked out once for all devices that have them."""
SHORTEST_WAIT_S: Final = 0.2
"""However little time is left, an answer gets this (unless the timeout is shorter)."""
SLOWER_BY: Final = 2
"""However little time is left, an answer may take so many times as long as its unit's slowest of late."""
SPARE_S: Final = 0.02
"""An answer is not waited for so long that the rest of the scan would end later than this before the next one."""
GATHER_S: Final = 0.002
"""An answer waits at most so long for those that were asked for with it, to be decoded with them."""
READ_LOOK_S: Final = 0.02
"""A single read by listening looks so often whether everything was overheard."""

_NS_PER_S: Final = 1_000_000_000
_REQUESTS: Final = {
    1: ReadCoilsRequest,
    2: ReadDiscreteInputsRequest,
    3: ReadHoldingRegistersRequest,
    4: ReadInputRegistersRequest,
}
assert _REQUESTS.keys() == READING_FUNCTION_CODES, "the allow-list of requests is the reading function codes"
_TCP_FRAMER: Final = FramerSocket(DecodePDU(is_server=False))
_RTU_FRAMER: Final = FramerRTU(DecodePDU(is_server=False))

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Options:
    """A device's own keys in gateway.toml.

    Attributes:
        host: address of the device or converter; an IP address, so that no name server stands between box and PLC.
        port: TCP port.
        unit_id: unit identifier (站号) of points that name none.
        timeout_s: how long an answer or a connection may take; on a line, the line's own time comes on top.
        max_registers: most registers in one request, 2 to 125.
        max_gap: most unwanted registers read along to save a request.
        transport: ``tcp``, ``rtu``, ``rtu_over_tcp`` or ``listen``.
        standby: "host:port" of the second PLC of a redundant pair; "" for none.
        serial: the tty of ``rtu`` and ``listen``.
        baud: of the serial line, that behind a converter, too.
        parity: ``N``, ``E`` or ``O``.
        stop_bits: 1 or 2.
        unreadable: ranges no request may touch, e.g. ``40101-40110``.
    """

    host: str = ""
    port: int = 502
    unit_id: int = 1
    timeout_s: float = 1.0
    max_registers: int = MAX_REGISTERS
    max_gap: int = 8
    transport: str = "tcp"
    standby: str = ""
    serial: str = ""
    baud: int = 9600
    parity: str = "N"
    stop_bits: int = 1
    unreadable: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "host", plain_host(self.host))
        object.__setattr__(self, "standby", plain_host(self.standby))
        judge(
            partial(one_of, "transport", self.transport, TRANSPORTS),
            partial(within, "port", self.port, 1, 65_535),
            partial(within, "unit_id", self.unit_id, *((1, 247) if self.is_rtu else (0, 255))),
            partial(within, "timeout_s", self.timeout_s, 0.05, 60),
            partial(within, "max_registers", self.max_registers, 2, MAX_REGISTERS),
            partial(within, "max_gap", self.max_gap, 0, MAX_REGISTERS),
            partial(one_of, "baud", self.baud, BAUDS),
            partial(one_of, "parity", self.parity, PARITIES),
            partial(one_of, "stop_bits", self.stop_bits, (1, 2)),
            self._check_way,
            self._check_standby,
            partial(parse_regions, self.unreadable),
        )

    def _check_way(self) -> None:
        """Either a serial line or an address; which of them, a wrong transport does not say."""
        if self.transport in ON_A_LINE:
            if not self.serial.strip():
                zh, en = "没有写串口。", "No serial line is named."
                refuse("serial", zh, en, "串口，如 /dev/ttyUSB0", "the serial line, e.g. /dev/ttyUSB0")
            if self.host or self.standby:
                key = "host" if self.host else "standby"
                zh = f"{self.transport} 走串口，没有网络地址。"
                en = f"{self.transport} uses a serial line and has no address."
                refuse(key, zh, en, "空", "nothing there")
        elif self.transport in TRANSPORTS and not self.host:
            zh, en = "PLC 地址为空。", "The address is empty."
            refuse("host", zh, en, " PLC 的 IP 地址", "the PLC's IP address")
        elif self.host:
            check_host("host", self.host)

    def _check_standby(self) -> None:
        if self.standby:
            host, _, port = self.standby.rpartition(":")
            if not (host and port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
                zh, en = f"备用地址“{self.standby}”不完整。", f'"{self.standby}" is no address with a port.'
                refuse("standby", zh, en, " IP:端口，如 192.168.10.22:502", "IP:port, e.g. 192.168.10.22:502")
            check_host("standby", host)

    @property
    def is_rtu(self) -> bool:
        """Frames carry a CRC and no transaction."""
        return self.transport != "tcp"

    @property
    def line(self) -> Line:
        """The serial line, that behind a converter, too."""
        return Line(self.serial, self.baud, self.parity, self.stop_bits)

    @property
    def regions(self) -> Regions:
        """What no request may touch."""
        return parse_regions(self.unreadable)


def one_of(field: str, value: object, choice: Sequence[object]) -> None:
    """A key has one of a few values.

    Raises:
        PointError: it has another.
    """
    if value not in choice:
        said = ", ".join(map(str, choice))
        refuse(
            field, f"“{value}”不可用。", f'"{value}" is not possible.', f"其中之一：{said}", f"one of {said}"
        )


def polled(options: Options) -> bool:
    """Every point is posted in every period of its group; see ``kit.contract``."""
    del options
    return True


def check_point(point: Point, options: Options) -> None:
    """May this point stand in the point table?

    Raises:
        PointError: it cannot be read as written.
    """
    if options.is_rtu and point.unit_id is not None:
        within("unit_id", point.unit_id, 1, 247)
    point_check.check_point(point, options.unit_id)


def check_device(points: tuple[Point, ...], options: Options) -> list[PointError]:
    """Do these points go together?"""
    return point_check.check_points(
        points, options.unit_id, max_registers=options.max_registers, unreadable=options.regions
    )


def connect(device: Device, options: Options, post: Post) -> Source:
    """A source for this device; opens nothing yet.

    Raises:
        PointError: a point cannot be read as written.
    """
    if options.transport == "listen":
        return ListeningSource(device, options, post)
    return ModbusSource(device, options, post)


class RefusedError(SourceError):
    """The device answered with an exception."""

    def __init__(self, code: int, block: Block) -> None:
        super().__init__(
            cause_of_exception(code),
            f"unit {block.unit_id} answers exception {code} to function code {block.function_code}, "
            f"offset {block.start}, count {block.count}",
        )
        self.code = code


def encode_request(block: Block, *, is_rtu: bool = False) -> bytes:
    """The whole request for a block; over TCP its transaction identifier is still 0.

    Raises:
        WriteRefusedError: the function code is not one that only reads.
    """
    request = _REQUESTS.get(block.function_code)
    if request is None:
        raise WriteRefusedError(f"function code {block.function_code} is not a reading one")
    framer = _RTU_FRAMER if is_rtu else _TCP_FRAMER
    return framer.buildFrame(request(address=block.start, count=block.count, dev_id=block.unit_id))


class _Group:
    """Points read together, and how far their scan has come.

    Attributes:
        questions: what is asked for, in this order.
        decoder: what turns their data into columns.
        is_plain: the decoder's many scans may come out of one call.
        is_judged: points of it need a judge.
        parts: the data of the blocks read so far.
        failed: which of them were not, and why.
        is_read: something of its last scan was; None before the first.
        begun_ns: when its first block was asked for, monotonic.
        is_interrupted: others came between its blocks.
    """

    __slots__ = (
        "_is_split",
        "_judge",
        "_options",
        "_planned",
        "_points",
        "begun_ns",
        "decoder",
        "failed",
        "is_interrupted",
        "is_judged",
        "is_plain",
        "is_read",
        "parts",
        "period_ns",
        "questions",
    )

    def __init__(self, points: tuple[Point, ...], options: Options, period: int, rows: Sequence[int]) -> None:
        self.period_ns = period
        self._points = points
        self._options = options
        self._judge = Judge.of(points, rows)
        self._planned = plan(
            points,
            options.unit_id,
            max_registers=options.max_registers,
            max_gap=options.max_gap,
            unreadable=options.regions,
            rows=rows,
        )
        self.parts: list[bytes] = []
        self.failed: list[tuple[int, Cause]] = []
        self.is_read: bool | None = None
        self.begun_ns = 0
        self.is_interrupted = False
        self._is_split = False
        self._replan(self._planned)

    @property
    def columns(self) -> IndexArray:
        """Its points, rising."""
        return self.decoder.points

    def plan_anew(self) -> None:
        """Ask for the blocks as first planned."""
        if self._is_split:
            self._is_split = False
            self._replan(self._planned)

    def split(self, number: int, smaller: Sequence[Block]) -> None:
        """Ask for these in a block's place."""
        blocks = [question.block for question in self.questions]
        blocks[number : number + 1] = smaller
        self._is_split = True
        self._replan(blocks)

    def _replan(self, blocks: Sequence[Block]) -> None:
        is_rtu = self._options.is_rtu
        make = rtu.Question if is_rtu else _tcp_question
        self.questions: list[mbap.Question | rtu.Question] = [
            make(block, encode_request(block, is_rtu=is_rtu)) for block in blocks
        ]
        self.decoder: Decoder = _compiled(_Layout.of(self._points, self._options.unit_id, blocks))
        self.is_plain = self.decoder.is_plain
        self.is_judged = self._judge is not None

    def begin(self) -> None:
        """Start over."""
        self.parts, self.failed, self.is_interrupted = [], [], False

    def scan(self, device: Device) -> Scan:
        """The answers of all blocks as columns, taken now, or when the first was if others came between."""
        raw = b"".join(self.parts)
        taken_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        age_ns = mono_ns - self.begun_ns if self.is_interrupted else 0
        columns = self.decoder.decode(raw, self.failed)
        return self.scan_of(device, raw, *columns, taken_ns - age_ns, mono_ns - age_ns)

    def scan_of(
        self,
        device: Device,
        raw: bytes,
        values: ValueArray,
        quality: QualityArray,
        taken_ns: int,
        mono_ns: int,
    ) -> Scan:
        """A scan of decoded columns, judged."""
        decoder = self.decoder
        exact = None
        if self._judge is not None:
            values, quality = self._judge.judge(values, quality, decoder.watched(raw), mono_ns)
        if not self.is_plain:
            exact = decoder.exact(raw, quality)
        points = decoder.points
        return Scan(
            device.name, device.config_rev, points, values, quality, taken_ns, mono_ns, None, raw, exact
        )

    def missed(self, device: Device) -> Scan:
        """None of it could be read."""
        self.is_read = False
        if self._judge is not None:
            self._judge.interrupted()
        return missed(device, self.columns, Cause.COMM, time.time_ns(), time.monotonic_ns())


@dataclass(frozen=True, slots=True)
class _Layout:
    """What a decoder depends on; devices of one make share it, and with it the calls that decode their scans.

    Attributes:
        plan, numbers: of blocks and points, all that a decoder is made of.
    """

    plan: tuple[tuple[int, int, int, tuple[int, ...]], ...]
    numbers: tuple[Point, ...]
    points: tuple[Point, ...] = field(compare=False)
    unit_id: int = field(compare=False)
    blocks: Sequence[Block] = field(compare=False)

    @classmethod
    def of(cls, points: tuple[Point, ...], unit_id: int, blocks: Sequence[Block]) -> _Layout:
        """The layout of these blocks."""
        plan = tuple((block.function_code, block.start, block.count, block.rows) for block in blocks)
        rows = sorted(row for block in blocks for row in block.rows)
        is_named = any(points[row].decimals_point for row in rows)
        numbers = tuple(
            points[row] if is_named else replace(points[row], name="", unit_id=None) for row in rows
        )
        return cls(plan, numbers, points, unit_id, blocks)


@lru_cache(maxsize=MEMO_LAYOUTS)
def _compiled(layout: _Layout) -> Decoder:
    return compile_plan(layout.points, layout.unit_id, layout.blocks)


def _tcp_question(block: Block, request: bytes) -> mbap.Question:
    return mbap.Question(block, request[2:])


class _Standing:
    """How a source is, told and logged once per change; what it turns out to be first is one."""

    def __init__(self, device: str, endpoint: str, counters: Sequence[str]) -> None:
        self._device = device
        self._since_ns = time.time_ns()
        self._is_known = False
        self.is_connected = False
        self.detail = f"{endpoint}: not connected yet"
        self.counters = dict.fromkeys(counters, 0)

    def turn(self, *, connected: bool, detail: str) -> None:
        """It is so now."""
        self.detail = detail
        if connected != self.is_connected:
            self.is_connected, self._since_ns = connected, time.time_ns()
        elif self._is_known:
            return
        self._is_known = True
        log.log(logging.INFO if connected else logging.WARNING, "%s: %s", self._device, detail)

    def state(self, load_percent: float | None = None) -> SourceState:
        """For ``status``."""
        counters = dict(self.counters)
        return SourceState(self.is_connected, self._since_ns, self.detail, counters, "", load_percent)


class ModbusSource:
    """A Modbus device being polled; see ``kit.contract.Source``.

    A unit that fell silent no longer holds up the others: its points are posted bad at once, and it is asked again
    in the time left over after each scan, which silent units share.

    Attributes:
        device: what is read.
        post: takes the scans.
        groups: its scan groups, the most important first.
        agenda: which of them are to be read.
        timeout_s: how long an answer may take.
    """

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self.device = device
        self._options = options
        self.post = post
        self.timeout_s = options.timeout_s
        self.groups = [
            _Group(device.points, options, period_ns(group.period_s), group.rows)
            for group in groups(device.points, device.period_s)
        ]
        periods = [group.period_ns for group in self.groups]
        self.agenda = Agenda(periods, device.slot, time.monotonic_ns())
        self._patience = Patience(device.points, options.unit_id, min(periods))
        self._debts = rtu.Debts(round(options.timeout_s * _NS_PER_S))
        self._load = Load(time.monotonic())
        self._hosts = [(options.host, options.port)]
        if options.standby:
            host, _, port = options.standby.rpartition(":")
            self._hosts.append((host.strip("[]"), int(port)))
        units = {q.block.unit_id for group in self.groups for q in group.questions}
        self.has_neighbours = len(units) > 1
        self._strange_s = (
            rtu.LATE_TIMEOUTS * options.timeout_s
        )  # what others asked before is not among the debts
        self._transaction = random.randrange(1 << 16)  # noqa: S311 - no secret: unlike that of the run before
        self._detail = ""
        self._failures = 0
        self._heals = False
        self._mute_rounds = 0
        self._answers_seen = 0
        self._in_vain_seen = 0
        self._usual_ns = 0
        self._slowest_s: dict[int, float] = {}
        self._struck_ns = 0
        self._probed_ns: dict[int, int] = {}
        names = ("answers", "misses", "garbled", "refused", "late", "reconnects", "overruns")
        self._standing = _Standing(device.name, self._endpoint, names)
        self._talk: mbap.Conversation | rtu.Conversation | None = None
        self._late_before = 0

    @property
    def _endpoint(self) -> str:
        if self._options.transport == "rtu":
            return f"modbus rtu {self._options.serial}"
        host, port = self._hosts[0]
        return f"modbus {self._options.transport.replace('_', ' ')} {host}:{port}"

    @property
    def counters(self) -> dict[str, int]:
        """What it has counted."""
        return self._standing.counters

    def state(self) -> SourceState:
        """How the source is now."""
        counters = self._standing.counters
        counters["overruns"] = self.agenda.overruns
        counters["late"] = self._late_before + (self._talk.late if self._talk is not None else 0)
        return self._standing.state(self._load.percent(time.monotonic()))

    async def read(self) -> Scan:
        """Read every point once over a connection of its own.

        Raises:
            SourceError: the device could not be reached at all.
        """
        everything = _Group(self.device.points, self._options, 0, range(len(self.device.points)))
        link = await self._open()
        try:
            while not await self._step(everything, link, None):
                pass
        finally:
            await link.close()
        return everything.scan(self.device)

    async def run(self) -> None:
        """Read for ever and post scans; ends by cancellation only."""
        link: Link | None = None
        dialling: asyncio.Task[Link] | None = None
        trouble: _Trouble | None = None
        periods = [group.period_ns for group in self.groups]
        self.agenda = agenda = Agenda(periods, self.device.slot, time.monotonic_ns())
        ours = beat(min(periods), self.device.slot)
        try:
            while True:
                if link is not None:
                    await self._work(link, trouble)
                    trouble = None
                    if link.lost:
                        self._transaction = link.transaction
                        await link.close()
                        link = None
                    elif self._standing.is_connected and self._patience.at_ease:
                        trouble = await _Rounds(self, link, ours).until_trouble()
                    else:
                        await self._idle(link)
                    continue
                dialling = dialling or asyncio.create_task(self._dial(), name=f"dial {self.device.name}")
                await asyncio.wait({dialling}, timeout=agenda.at_s - time.monotonic())
                if dialling.done():
                    link, dialling = dialling.result(), None
                    self._answers_seen = 0
                    agenda.open_all()  # a device that is back is read at once, not only when its turn comes
                elif (now_ns := time.monotonic_ns()) >= agenda.at_ns:
                    agenda.strike(now_ns)
                    self._miss()
        finally:
            if dialling is not None:
                dialling.cancel()
                (end,) = await asyncio.gather(dialling, return_exceptions=True)
                link = end if isinstance(end, Link) else link
            if link is not None:
                await link.close()

    # -- the connection

    async def _dial(self) -> Link:
        """A new connection, however long it takes."""
        while True:
            if self._failures:
                bound_s = min(BACKOFF_MAX_S, BACKOFF_FIRST_S * 2 ** min(self._failures, 10))
                await asyncio.sleep(random.uniform(0, bound_s))  # noqa: S311 - jitter, no secret
            self._failures += 1
            try:
                link = await self._open()
            except SourceError as error:
                self._standing.turn(connected=False, detail=error.detail)
                self._hosts.append(self._hosts.pop(0))
                if self._failures == 1:
                    self.agenda.open_all()
                    self._miss()
                continue
            self._standing.counters["reconnects"] += 1
            self._patience.forget_refusals()
            for group in self.groups:
                group.plan_anew()
            return link

    async def _open(self) -> Link:
        """A connection that may be asked on.

        Raises:
            SourceError: there is none, or the line is not silent.
        """
        options = self._options
        link: Link
        if options.transport == "rtu":
            line = options.line
            link = self._rtu_link(rtu.gap_ns(line.baud, line.byte_s))
            _open_tty(line, link, self._endpoint)
        else:
            is_tcp = options.transport == "tcp"
            make = partial(Link, self._load, self._transaction) if is_tcp else partial(self._rtu_link, 0)
            link = await self._open_tcp(make)
        if isinstance(link, RtuLink):
            try:
                await link.settle(options.timeout_s, self._strange_s)
                self._strange_s = 0.0
            except BaseException as error:
                await link.close()
                if isinstance(error, SourceError):
                    detail = f"{self._endpoint}: {error.detail}"
                    raise SourceError(error.quality_cause, detail) from error
                raise
        if self._talk is not None:
            self._late_before += self._talk.late
        self._talk = link.talk
        return link

    def _rtu_link(self, gap_ns: int) -> Link:
        return RtuLink(self._load, self._debts, gap_ns, self._options.line.byte_s)

    async def _open_tcp(self, make: Callable[[], Link]) -> Link:
        host, port = self._hosts[0]
        timeout_s = self._options.timeout_s
        try:
            async with asyncio.timeout(timeout_s):
                _, link = await asyncio.get_running_loop().create_connection(make, host, port)
        except TimeoutError as error:
            detail = f"{self._endpoint}: no connection within {timeout_s:g} s"
            raise SourceError(Cause.COMM, detail) from error
        except OSError as error:
            raise SourceError(Cause.COMM, f"{self._endpoint}: {error.strerror or error}") from error
        return link

    def _miss(self) -> None:
        """Say of every point that is due that it could not be read."""
        self._standing.counters["misses"] += 1
        while (number := self.agenda.turn()) is not None:
            self.post(self.groups[number].missed(self.device))
            self.groups[number].begin()
            self.agenda.close(number)

    # -- scans

    def wait_s(self, unit_id: int) -> float:
        """How long a unit's answer is waited for, so that its neighbours' are not late, but never too short for it."""
        if not self.has_neighbours:
            return self.timeout_s
        left_s = self.agenda.at_s - time.monotonic() - SPARE_S
        if left_s < self.timeout_s + self._usual_ns / _NS_PER_S:
            left_s -= self._others_s(unit_id)
        return max(min(self.timeout_s, left_s), self._needs_s(unit_id))

    def _others_s(self, unit_id: int) -> float:
        """How long what is still to be asked of other units usually takes."""
        now_ns, patience = time.monotonic_ns(), self._patience
        return sum(
            self._slowest_s.get(question.unit_id, 0.0)
            for number, group in enumerate(self.groups)
            if self.agenda.is_open(number)
            for question in group.questions[len(group.parts) :]
            if question.unit_id != unit_id
            and (patience.at_ease or patience.excuse(question.block, now_ns) is None)
        )

    def _needs_s(self, unit_id: int) -> float:
        """What a unit must be given at least: twice its slowest answer of late, all while none is known."""
        slowest_s = self._slowest_s.get(unit_id)
        if slowest_s is None:
            return self.timeout_s
        return min(self.timeout_s, max(SHORTEST_WAIT_S, SLOWER_BY * slowest_s))

    def answered_in(self, unit_id: int, took_s: float) -> None:
        """A unit answered."""
        slowest_s = self._slowest_s.get(unit_id, 0.0)
        self._slowest_s[unit_id] = took_s if took_s >= slowest_s else slowest_s - (slowest_s - took_s) / 16

    def _finish(self, number: int) -> None:
        """Post a scan whose every block was asked for."""
        group = self.groups[number]
        scan = group.scan(self.device)
        self._standing.counters["answers"] -= len(group.failed)
        is_read = len(group.failed) < len(group.parts)
        self.read_well(number)
        group.is_read = is_read
        self.post(scan)

    def read_well(self, number: int) -> None:
        """Every block of a group was read."""
        group, counters = self.groups[number], self._standing.counters
        counters["answers"] += len(group.parts)
        group.is_read = True
        group.parts = []
        group.is_interrupted = False
        if group.failed:
            group.failed = []
        self.agenda.close(number)

    def struck(self, now_ns: int) -> None:
        """A point of the grid has come."""
        self.agenda.strike(now_ns)
        self._struck_ns = now_ns
        for group in self.groups[(self.agenda.turn() or 0) + 1 :]:
            group.is_interrupted = group.is_interrupted or bool(group.parts)

    def scanned(self) -> None:
        """Everything that was due is read: so long it takes."""
        took_ns = time.monotonic_ns() - self._struck_ns
        self._usual_ns = max(took_ns, self._usual_ns - self._usual_ns // 8)

    async def _work(self, link: Link, trouble: _Trouble | None) -> None:
        """Read what is due, the most important first."""
        agenda = self.agenda
        self._detail = ""
        while trouble is not None or agenda.turn() is not None:
            number = agenda.turn() if trouble is None else trouble.group
            assert number is not None
            error, trouble = (trouble.error if trouble else None), None
            is_over = await self._step(self.groups[number], link, error)
            if (now_ns := time.monotonic_ns()) >= agenda.at_ns:
                self.struck(
                    now_ns
                )  # before the group is closed, else one that takes its whole period is always next
            if is_over:
                self._finish(number)
                self._say_how(link)
        if self._heals:
            self._heals = False
            for group in self.groups:
                group.plan_anew()
        self._answers_now(link)
        if not link.lost:
            self._failures = 0

    def _say_how(self, link: Link) -> None:
        """Connected means: the link stands and something of a last scan was read. Not so only once all was tried."""
        if not link.lost and any(group.is_read for group in self.groups):
            detail = f"{self._endpoint}: {self._detail}" if self._detail else self._endpoint
            self._standing.turn(connected=True, detail=detail)
        elif link.lost or (self._detail and all(group.is_read is not None for group in self.groups)):
            self._standing.turn(connected=False, detail=f"{self._endpoint}: {self._detail or link.lost}")

    async def _step(self, group: _Group, link: Link, error: SourceError | None) -> bool:
        """One block of a group: without a usable answer its own points are bad and no others. Was it the last?"""
        number = len(group.parts)
        if not number:
            group.begun_ns = time.monotonic_ns()
        if number < len(group.questions):
            question = group.questions[number]
            got: bytes | SourceError | tuple[Block, ...]
            if error is not None:
                got = self._blame(question.block, error)
            else:
                got = await self._fetch(question, link)
            if isinstance(got, tuple):
                group.split(number, got)
                return False
            if isinstance(got, SourceError):
                group.failed.append((number, got.quality_cause))
                self._detail = got.detail or self._detail
                got = bytes(question.block.byte_count)
            group.parts.append(got)
        return len(group.parts) >= len(group.questions)

    async def _fetch(
        self, question: mbap.Question | rtu.Question, link: Link
    ) -> bytes | SourceError | tuple[Block, ...]:
        """A block's data, why there is none, or the smaller blocks to ask for in its place."""
        patience, block = self._patience, question.block
        if not patience.at_ease and (cause := patience.excuse(block, time.monotonic_ns())) is not None:
            return SourceError(cause, "")
        if block.unit_id in self._debts:  # the next answer may be another question's
            return self._blame(block, SourceError(Cause.COMM, ""))
        try:
            outcome = await link.ask(question, self.wait_s(block.unit_id))
        except SourceError as error:
            return self._blame(block, error)
        self.answered_in(block.unit_id, link.took_s)
        if isinstance(outcome, int):
            return self._blame(block, RefusedError(outcome, block))
        if not patience.at_ease:
            self._heals = patience.answered(block) or self._heals
        return outcome

    def _blame(self, block: Block, error: SourceError) -> SourceError | tuple[Block, ...]:
        """Count a failed request and draw what follows from it: the error, or what to ask for in its place."""
        counters = self._standing.counters
        absent = isinstance(error, RefusedError) and error.code in UNIT_ABSENT
        if error.quality_cause is Cause.GARBLED:
            counters["garbled"] += 1
        if absent or isinstance(error, SilentError):
            counters["misses"] += 1
        if absent or isinstance(error, SilentError) or block.unit_id in self._debts:
            owes = block.unit_id in self._debts
            self._patience.fell_silent(block, time.monotonic_ns(), owes=owes)
        elif isinstance(error, RefusedError):
            counters["refused"] += 1
            return self._patience.refusal(block, error.code, time.monotonic_ns()) or error
        return error

    # -- silent units

    async def _idle(self, link: Link) -> None:
        """Ask silent units in the time that is left before the next scan, then wait for it."""
        await self._probe_silent(link)
        if link.lost or self.agenda.turn() is not None:
            return
        await sleep_until(self.agenda.at_s)
        self.struck(time.monotonic_ns())
        self._forgive()

    def _answers_now(self, link: Link) -> None:
        """Nothing answers for rounds: the connection is half open, or this PLC of two is not the living one."""
        is_pair = len(self._hosts) > 1  # of which the one in standby may refuse everything
        answers = self._standing.counters["answers"] if is_pair else link.talk.answers
        in_vain = self._standing.counters["misses"] + self._standing.counters["garbled"]
        has_asked = is_pair or (self._patience.any_silent and in_vain > self._in_vain_seen)
        if answers != self._answers_seen:
            self._mute_rounds = 0
        elif has_asked:
            self._mute_rounds += 1
        self._answers_seen, self._in_vain_seen = answers, in_vain
        if self._mute_rounds >= ROUNDS_TO_REOPEN and not link.lost:
            self._mute_rounds = 0
            self._hosts.append(self._hosts.pop(0))
            link.drop("nothing on this connection answers")

    async def _probe_silent(self, link: Link) -> None:
        """Ask silent units, each for its share of the time; ends early when one is back and may be read at once."""
        agenda, patience = self.agenda, self._patience
        begun_ns = time.monotonic_ns()
        patience.scanned(begun_ns)
        end_ns = begun_ns + round(PROBE_SHARE * (agenda.at_ns - begun_ns))
        while not link.lost and agenda.turn() is None:
            self._forgive()
            now_ns = time.monotonic_ns()
            turn = patience.turn(now_ns)
            if turn is None or turn.due_ns > end_ns:
                return
            if turn.due_ns > now_ns:
                await sleep_until(turn.due_ns / _NS_PER_S)
                continue
            block = patience.probe(turn.unit_id, self._blocks())
            if turn.unit_id in self._debts:
                silent_until_ns = self._debts.silent_until_ns(turn.unit_id, block)
                if silent_until_ns > now_ns:
                    patience.rest(turn.unit_id, silent_until_ns)
                    continue
            left_s = (end_ns - now_ns) / _NS_PER_S
            budget_s = max(left_s / turn.waiting, min(FAIR_PROBE_S, left_s))
            needs_s = max(MIN_PROBE_S, SLOWER_BY * self._slowest_s.get(turn.unit_id, 0.0))
            since_ns = now_ns - self._probed_ns.setdefault(turn.unit_id, now_ns)
            if budget_s < needs_s:
                borrowed_s = max(needs_s, FAIR_PROBE_S)
                if since_ns >= borrowed_s * max(1, turn.waiting) / BUS_SHARE * _NS_PER_S:
                    budget_s = borrowed_s
                elif budget_s < MIN_PROBE_S:
                    return
            if budget_s >= needs_s:
                self._probed_ns[turn.unit_id] = now_ns
            await self._probe(link, block, min(self.timeout_s, budget_s))

    def _blocks(self) -> list[Block]:
        return [question.block for group in self.groups for question in group.questions]

    async def _probe(self, link: Link, block: Block, budget_s: float) -> None:
        """Ask a silent unit; what it answers is not used."""
        unit_id = block.unit_id
        owed = self._debts.question(unit_id, time.monotonic_ns()) if unit_id in self._debts else None
        questions = (question for group in self.groups for question in group.questions)
        question = owed or next(question for question in questions if question.block == block)
        try:
            outcome = await link.ask(question, budget_s)
        except SourceError as error:
            self._detail = error.detail
            self._blame(question.block, error)
            return
        if unit_id not in self._debts:
            self.answered_in(unit_id, link.took_s)
        if isinstance(outcome, int) and outcome in UNIT_ABSENT:
            self._blame(question.block, RefusedError(outcome, question.block))
        elif unit_id not in self._debts:  # a unit in debt is believed only after its silence: _forgive
            self._heals = self._patience.answered(question.block) or self._heals
            self._welcome(unit_id)
        elif owed is None:
            self._patience.vouch(question.block)

    def _forgive(self) -> None:
        """Units on a line that do not owe an answer any more may be asked again."""
        for unit_id in self._debts.forgive(time.monotonic_ns()):
            self._patience.back(unit_id)
            self._welcome(unit_id)

    def _welcome(self, unit_id: int) -> None:
        """A unit is back: read what it has at once, if there is time for it."""
        if time.monotonic_ns() + self._usual_ns < self.agenda.at_ns:
            for number, group in enumerate(self.groups):
                if any(question.block.unit_id == unit_id for question in group.questions):
                    self.agenda.open(number)


class _Trouble(NamedTuple):
    """Which group's next block was not answered, and why."""

    group: int
    error: SourceError


class _Press:
    """Decodes together what was asked together: devices of one make come out of one call.

    Waits until nobody's answer is awaited any more, but never longer than ``GATHER_S`` for the slow ones.

    Attributes:
        awaited: whose answers are on the way.
    """

    def __init__(self) -> None:
        self.awaited: set[_Rounds] = set()
        self._taken: dict[Decoder, list[tuple[_Rounds, _Group, bytes]]] = {}
        self._judged: set[Decoder] = set()
        self._patience: asyncio.TimerHandle | None = None

    def take(self, rounds: _Rounds, group: _Group, raw: bytes) -> None:
        """A group was read; it is not awaited any more."""
        rounds.is_taken = True
        item = rounds, group, raw
        decoder = group.decoder
        taken = self._taken.get(decoder)
        if taken is None:
            self._taken[decoder] = [item]
        else:
            taken.append(item)
        if group.is_judged:
            self._judged.add(decoder)
        if not self.awaited:
            self.press()
        elif self._patience is None:
            self._patience = asyncio.get_running_loop().call_later(GATHER_S, self.press)

    def forget(self, rounds: _Rounds) -> None:
        """No answer is awaited for these any more."""
        self.awaited.discard(rounds)
        if self._taken and (rounds.is_taken or not self.awaited):
            self.press()

    def press(self) -> None:
        """Decode and post what was taken."""
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        taken, self._taken = self._taken, {}
        judged, self._judged = self._judged, set()
        taken_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        for decoder, items in taken.items():
            many = None
            if len(items) > 1 and items[0][1].is_plain:
                try:
                    many = decoder.decode_many([raw for _, _, raw in items])
                except Exception as error:  # noqa: BLE001 - a defect is the tasks' to raise
                    for rounds, _, _ in items:
                        rounds.is_taken = False
                        rounds.fail(error)
                    continue
            if many is not None and decoder not in judged:
                _post_all(items, *many, decoder.points, taken_ns, mono_ns)
                continue
            for row, (rounds, group, raw) in enumerate(items):
                rounds.is_taken = False
                try:
                    values, quality = decoder.decode(raw) if many is None else (many[0][row], many[1])
                    source = rounds.source
                    source.post(group.scan_of(source.device, raw, values, quality, taken_ns, mono_ns))
                except Exception as error:  # noqa: BLE001 - a defect is the task's to raise
                    rounds.fail(error)


def _post_all(
    items: list[tuple[_Rounds, _Group, bytes]],
    columns: ValueArray,
    quality: QualityArray,
    points: IndexArray,
    taken_ns: int,
    mono_ns: int,
) -> None:
    """Scans with nothing to judge, a row of ``columns`` each."""
    for (rounds, _, raw), values in zip(items, columns, strict=True):
        rounds.is_taken = False
        try:
            rounds.post(
                Scan(rounds.name, rounds.config_rev, points, values, quality, taken_ns, mono_ns, None, raw)
            )
        except Exception as error:  # noqa: BLE001 - a defect is the task's to raise
            rounds.fail(error)


_PRESSES: Final[WeakKeyDictionary[asyncio.AbstractEventLoop, _Press]] = WeakKeyDictionary()


class _Rounds:
    """Scan after scan while all is well, done where timer and answers arrive, so that no task is woken for it.

    Waking a task costs a turn of the loop, which is as much as the rest of the read. Whatever is not the plain
    answer in time ends the rounds, and the source's task goes on with the very scan at the very block.

    Attributes:
        source: whose they are.
        post, name, config_rev: of the source, at hand.
        done: see ``Answer``.
        is_taken: an answer of theirs waits to be decoded; it is posted before the next question is asked.
    """

    __slots__ = (
        "_agenda",
        "_asked",
        "_beat",
        "_counters",
        "_groups",
        "_has_neighbours",
        "_is_alone",
        "_link",
        "_only",
        "_over",
        "_press",
        "_timeout_s",
        "config_rev",
        "done",
        "is_taken",
        "name",
        "post",
        "source",
    )

    def __init__(self, source: ModbusSource, link: Link, ours: Beat) -> None:
        self.source = source
        self._link = link
        self._beat = ours
        self.post = source.post
        self.name, self.config_rev = source.device.name, source.device.config_rev
        self._groups = source.groups
        self._agenda = source.agenda
        self._timeout_s = source.timeout_s
        self._has_neighbours = source.has_neighbours
        self._is_alone = source.agenda.is_alone and not source.has_neighbours
        self._only = source.groups[0] if self._is_alone and len(source.groups[0].questions) == 1 else None
        self._counters = source.counters
        self._press = _PRESSES.setdefault(asyncio.get_running_loop(), _Press())
        self._over: asyncio.Future[_Trouble] = asyncio.get_running_loop().create_future()
        self.done = self._over.done
        self._asked: int | None = None
        self.is_taken = False

    async def until_trouble(self) -> _Trouble:
        """Run until a question meets trouble."""
        self._beat.join(self, self._strike)
        try:
            return await self._over
        finally:
            self._beat.leave(self)
            self._link.release()
            self._press.forget(self)

    def set_result(self, outcome: bytes | int, /) -> None:
        """See ``Answer``."""
        self._link.release()
        self._press.awaited.discard(self)
        if self._only is not None and type(outcome) is bytes:  # nearly always so
            self._asked = None
            self._counters["answers"] += 1
            self._agenda.close(0)
            self._press.take(self, self._only, outcome)
            return
        asked, self._asked = self._asked, None
        assert asked is not None, "an answer comes after its question"
        group = self._groups[asked]
        parts = group.parts
        if self._has_neighbours:
            self.source.answered_in(group.questions[len(parts)].unit_id, self._link.took_s)
        if isinstance(outcome, int):
            error = RefusedError(outcome, group.questions[len(parts)].block)
            self._over.set_result(_Trouble(asked, error))
            return
        parts.append(outcome)
        try:
            if len(parts) == len(group.questions):
                if group.is_interrupted:
                    self.post(group.scan(self.source.device))
                else:
                    self._press.take(self, group, outcome if len(parts) == 1 else b"".join(parts))
                self.source.read_well(asked)
                if self._is_alone:
                    return
            self._go_on()
        except Exception as error:  # noqa: BLE001 - what fails here must reach the source's task, not the loop
            self.set_exception(error)

    def set_exception(self, error: Exception, /) -> None:
        """See ``Answer``."""
        if isinstance(error, SourceError):
            assert self._asked is not None, "trouble comes after a question"
            self._over.set_result(_Trouble(self._asked, error))
        else:
            self.fail(error)

    def fail(self, defect: Exception) -> None:
        """Something broke that never should: the source's task raises it."""
        if not self._over.done():
            self._over.set_exception(defect)

    def _strike(self, now_ns: int) -> None:
        """A point of the grid has come."""
        if self.done():
            return
        try:
            if self._is_alone:
                self._agenda.strike(now_ns)
                if self._asked is None:
                    if self.is_taken:
                        self._press.press()
                    self._asked = 0
                    self._press.awaited.add(self)
                    self._link.put(self._groups[0].questions[0], self._timeout_s, self)
                return
            self.source.struck(now_ns)
            if self._asked is None:
                self._go_on()
        except Exception as error:  # noqa: BLE001 - as above
            self.set_exception(error)

    def _go_on(self) -> None:
        """Ask the next question of the most important group that is to be read."""
        source = self.source
        number = self._agenda.turn()
        if number is None:
            source.scanned()
            return
        if self.is_taken:
            self._press.press()
        group = self._groups[number]
        self._asked = number
        if not group.parts:
            group.begun_ns = time.monotonic_ns()
        question = group.questions[len(group.parts)]
        self._press.awaited.add(self)
        self._link.put(question, source.wait_s(question.unit_id), self)


class ListeningSource:
    """A Modbus device overheard on a line whose master is somebody else; see ``kit.contract.Source``.

    Nothing is ever sent: the line is open for reading only.
    """

    def __init__(self, device: Device, options: Options, post: Post) -> None:
        self._device = device
        self._options = options
        self._post = post
        self._endpoint = f"modbus listening on {options.serial}"
        self._groups = [
            Overheard(device, options.unit_id, period_ns(group.period_s), group.rows)
            for group in groups(device.points, device.period_s)
        ]
        self._periods = [group.period_ns for group in self._groups] or [period_ns(device.period_s)]
        self._heard = Overhearing(round(options.timeout_s * _NS_PER_S))
        self._standing = _Standing(
            device.name, self._endpoint, ("answers", "refused", "garbled", "reconnects")
        )

    def state(self) -> SourceState:
        """How the source is now."""
        return self._standing.state()

    async def read(self) -> Scan:
        """What is overheard until every point was, or for as long as a point may stay unheard.

        Raises:
            SourceError: the line cannot be opened.
        """
        longest = max(self._periods)
        rows = range(len(self._device.points))
        everything = Overheard(self._device, self._options.unit_id, longest, rows)
        self._groups = [everything]
        ear = self._open()
        end_ns = time.monotonic_ns() + OVERHEARD_PERIODS * longest
        everything.opened(time.monotonic_ns())
        try:
            while time.monotonic_ns() < end_ns and not everything.is_complete and not ear.lost:  # noqa: ASYNC110 - one read by hand
                await asyncio.sleep(READ_LOOK_S)
        finally:
            await ear.close()
        return everything.scan(end_ns, time.time_ns(), time.monotonic_ns())

    async def run(self) -> None:
        """Listen for ever and post scans; ends by cancellation only."""
        ear: Ear | None = None
        agenda = Agenda(self._periods, self._device.slot, time.monotonic_ns())
        try:
            while True:
                if ear is None:
                    try:
                        ear = self._open()
                    except SourceError as error:
                        self._standing.turn(connected=False, detail=error.detail)
                        if agenda.turn() is None:
                            agenda.open_all()
                    else:
                        self._standing.counters["reconnects"] += 1
                        for group in self._groups:
                            group.opened(time.monotonic_ns())
                self._tell(agenda, is_open=ear is not None)
                if ear is not None and await ear.lost_by(agenda.at_s):
                    self._standing.turn(connected=False, detail=f"{self._endpoint}: {ear.lost}")
                    await ear.close()
                    ear = None
                    agenda.open_all()
                    self._tell(agenda, is_open=False)
                await sleep_until(agenda.at_s)
                agenda.strike(time.monotonic_ns())
        finally:
            if ear is not None:
                await ear.close()

    def _open(self) -> Ear:
        self._heard.forget()
        ear = Ear(self._hear)
        _open_tty(self._options.line, ear, self._endpoint, listen_only=True)
        return ear

    def _hear(self, data: bytes) -> None:
        """Called by the loop with what arrived."""
        now_ns = time.monotonic_ns()
        for heard in self._heard.feed(data, now_ns):
            self._standing.counters["answers" if heard.data else "refused"] += 1
            for group in self._groups:
                group.notebook.note(heard, now_ns)

    def _tell(self, agenda: Agenda, *, is_open: bool) -> None:
        """Post every group that is due."""
        taken_ns, now_ns = time.time_ns(), time.monotonic_ns()
        self._standing.counters["garbled"] = self._heard.garbled
        while (number := agenda.turn()) is not None:
            agenda.close(number)
            group = self._groups[number]
            scan = group.scan(now_ns, taken_ns, now_ns) if is_open else group.missed(taken_ns, now_ns)
            if len(scan.points):
                self._post(scan)
        if is_open:
            is_heard = any(group.is_heard(now_ns) for group in self._groups)
            if is_heard:
                self._standing.turn(connected=True, detail=self._endpoint)
            elif self._standing.is_connected or all(group.is_overdue(now_ns) for group in self._groups):
                self._standing.turn(connected=False, detail=f"{self._endpoint}: nothing is overheard")


def _open_tty(line: Line, wired: Wired, endpoint: str, *, listen_only: bool = False) -> None:
    """Open a serial line for a link or an ear.

    Raises:
        SourceError: it cannot be opened like this.
    """
    try:
        open_line(line, wired, listen_only=listen_only)
    except OSError as error:
        raise SourceError(Cause.COMM, f"{endpoint}: {error.strerror or error}") from error
