"""When pictures of a camera are wanted, and what is wrong with those that came. Decides, touches nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal, TypeAlias

from drivers.kit.options import judge, within

Flag: TypeAlias = Literal["black", "frozen"]

MAX_BEFORE: Final = 7
MAX_AFTER: Final = 8
"""With the one in between 16, as many pictures as an alarm names."""
TELL_AFTER: Final = 3
"""Pictures in a row with the same flag before the camera counts as failed."""

_MEANING: Final[dict[Flag, str]] = {
    "black": "are black: no light, the lens is covered, or the camera is broken",
    "frozen": "are the same byte for byte: the camera repeats an old picture",
}


@dataclass(frozen=True, slots=True)
class Shots:
    """When pictures are wanted.

    Attributes:
        period_s: a picture for the record so often; 0: on alarm only.
        before: pictures from before the alarm that go on record with it; they wait in memory.
        after: pictures from after it.
        ring_s: time between two of those.
        ring_bytes: what those before the alarm may take up in memory.
        frozen_s: a camera that gives the same bytes for so long is frozen.
    """

    period_s: float = 0.0
    before: int = 0
    after: int = 0
    ring_s: float = 1.0
    ring_bytes: int = 8 << 20
    frozen_s: float = 10.0

    def __post_init__(self) -> None:
        judge(
            partial(within, "period_s", self.period_s or 1, 1, 86_400),  # 0 is on alarm only
            partial(within, "before", self.before, 0, MAX_BEFORE),
            partial(within, "after", self.after, 0, MAX_AFTER),
            partial(within, "ring_s", self.ring_s, 0.2, 600),
            partial(within, "ring_bytes", self.ring_bytes, 64 << 10, 256 << 20),
            partial(within, "frozen_s", self.frozen_s, 0.2, 86_400),
        )


class Sameness:
    """Whether a camera still gives new pictures.

    Args:
        frozen_s: see ``Shots``.
    """

    def __init__(self, frozen_s: float) -> None:
        self._frozen_s = frozen_s
        self._digest = b""
        self._since_s = 0.0

    def frozen(self, digest: bytes, now_s: float) -> bool:
        """Tell it each picture's SHA-256 and the monotonic time; whether the camera is frozen."""
        if digest != self._digest:
            self._digest, self._since_s = digest, now_s
        return now_s - self._since_s >= self._frozen_s


class Complaint:
    """What is wrong with a camera whose pictures come but show nothing."""

    def __init__(self) -> None:
        self._in_a_row: Counter[Flag] = Counter()

    def see(self, flag: Flag, *, found: bool) -> None:
        """Tell it what each picture that was judged for this flag showed."""
        self._in_a_row[flag] = self._in_a_row[flag] + 1 if found else 0

    def __str__(self) -> str:
        """One English sentence, "" if the pictures are good."""
        return "; ".join(
            f"the last {count} pictures {_MEANING[flag]}"
            for flag, count in self._in_a_row.items()
            if count >= TELL_AFTER
        )
