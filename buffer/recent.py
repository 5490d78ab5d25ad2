"""The newest records, kept in memory so that what was just written is not read back. Pure; bounded in bytes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from buffer.record import LANES, Batch, Lane, Record


class Recent:
    """Per lane an unbroken run of records that ends at the newest.

    Args:
        max_bytes: bodies kept over all lanes; beyond it the oldest leave, whatever their lane.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._runs: dict[Lane, deque[Record]] = {lane: deque() for lane in LANES}
        self._arrivals: deque[tuple[Lane, int]] = deque()

    def add(self, records: Iterable[Record]) -> None:
        """Take records in, in rising seq per lane."""
        for record in records:
            run = self._runs[record.lane]
            if run and record.seq != run[-1].seq + 1:
                self.forget(record.lane, run[-1].seq)
            run.append(record)
            self._arrivals.append((record.lane, record.seq))
            self._bytes += len(record.body)
        while self._bytes > self._max_bytes:
            lane, seq = self._arrivals.popleft()
            self._drop(lane, seq)

    def forget(self, lane: Lane, up_to_seq: int) -> None:
        """Let go of a lane's records up to and including this one."""
        self._drop(lane, up_to_seq)
        self._arrivals = deque(at for at in self._arrivals if at[0] != lane or at[1] > up_to_seq)

    def page(
        self, lane: Lane, from_seq: int, last_seq: int, max_records: int, max_bytes: int
    ) -> Batch | None:
        """The page as the spool would read it; None where its beginning is not in memory."""
        run = self._runs[lane]
        if not run or not run[0].seq <= from_seq <= min(last_seq, run[-1].seq):
            return None
        records: list[Record] = []
        left = max_bytes
        for at in range(from_seq - run[0].seq, min(len(run), last_seq - run[0].seq + 1)):
            if len(records) == max_records or (records and len(run[at].body) > left):
                break
            records.append(run[at])
            left -= len(run[at].body)
        return Batch(lane, tuple(records), from_seq + len(records))

    def _drop(self, lane: Lane, up_to_seq: int) -> None:
        run = self._runs[lane]
        while run and run[0].seq <= up_to_seq:
            self._bytes -= len(run.popleft().body)
