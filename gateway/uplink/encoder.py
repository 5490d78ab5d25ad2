"""Records to messages, once for all recipients of one dialect. Pure; remembers the last few messages."""

from __future__ import annotations

from typing import Final

from buffer.record import Record
from gateway.codec import CodecError, decode
from gateway.uplink.dialects import load
from gateway.uplink.message import Context, DialectError, Message, Replay

MEMO_MESSAGES: Final = 4
"""Recipients that are up ask for the same live message within milliseconds of each other."""


class Encoder:
    """One dialect, shared by the senders that speak it."""

    def __init__(self, name: str, context: Context) -> None:
        self.dialect = load(name, context)
        self._memo: dict[tuple[str, int, Replay], Message] = {}

    def message(self, record: Record, replay: Replay, *, durable: bool = True, jpeg: bytes = b"") -> Message:
        """Say a record.

        Raises:
            DialectError: it cannot be said, or its bytes are no record.
        """
        key = (record.lane, record.seq, replay)
        known = self._memo.get(key) if durable else None
        if known is not None:
            return known
        try:
            body = decode(record.body)
        except CodecError as e:
            raise DialectError(f"{record.lane}/{record.seq}: {e}") from e
        message = self.dialect.encode(record, body, replay, durable=durable, jpeg=jpeg)
        if durable:
            while len(self._memo) >= MEMO_MESSAGES:
                del self._memo[next(iter(self._memo))]
            self._memo[key] = message
        return message
