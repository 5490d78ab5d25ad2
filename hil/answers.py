"""The log of what a simulator really answered: compact columns, bounded. Pure; simulators append to it."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

MAX_ANSWERS: Final = 4_000_000
MAX_REGISTER_BYTES: Final = 512 * 1024 * 1024

Ints: TypeAlias = NDArray[np.int64]


class LogFullError(RuntimeError):
    """The log reached its bound, so what it holds is no basis for a verdict any more."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """Completed answers in order, as columns of equal length n.

    Attributes:
        device: int64[n], index into ``names``.
        counter: int64[n], the answer counter that travelled in registers 0 and 1 of this answer.
        monotonic_ns: int64[n], CLOCK_MONOTONIC when the answer was handed to the socket.
        names: the devices.
        registers: the bytes of each answer's registers, big-endian; empty where they were not kept.
    """

    device: Ints
    counter: Ints
    monotonic_ns: Ints
    names: tuple[str, ...]
    registers: tuple[bytes, ...]


class AnswerLog:
    """One log for all simulated devices of a process.

    Args:
        keep_registers: also keep each answer's registers (as many bytes as travelled).
        max_answers: bound; beyond it ``answers`` raises instead of telling half the truth.
        max_register_bytes: likewise for the registers.
    """

    def __init__(
        self,
        *,
        keep_registers: bool = True,
        max_answers: int = MAX_ANSWERS,
        max_register_bytes: int = MAX_REGISTER_BYTES,
    ) -> None:
        self._keep_registers = keep_registers
        self._max_answers = max_answers
        self._max_register_bytes = max_register_bytes
        self._names: list[str] = []
        self._device = array("H")
        self._counter = array("I")
        self._monotonic_ns = array("q")
        self._ends = array("q")
        self._registers = bytearray()
        self._full = False

    def __len__(self) -> int:
        return len(self._device)

    def add_device(self, name: str) -> int:
        """A new device's index; the name must be new."""
        assert name not in self._names, f"device {name} is logged already"
        self._names.append(name)
        return len(self._names) - 1

    def append(self, device: int, counter: int, monotonic_ns: int, registers: bytes) -> None:
        """One completed answer."""
        kept = len(self._registers) + len(registers) if self._keep_registers else 0
        if len(self._device) >= self._max_answers or kept > self._max_register_bytes:
            self._full = True
            return
        self._device.append(device)
        self._counter.append(counter)
        self._monotonic_ns.append(monotonic_ns)
        if self._keep_registers:
            self._registers += registers
            self._ends.append(len(self._registers))

    def answers(self) -> Answers:
        """Everything so far, copied.

        Raises:
            LogFullError: the bound was reached.
        """
        if self._full:
            raise LogFullError(
                f"the answer log is full at {len(self)} answers: run shorter or raise its bound"
            )
        starts = [0, *self._ends][:-1] if self._ends else []
        return Answers(
            device=np.array(self._device, dtype=np.int64),
            counter=np.array(self._counter, dtype=np.int64),
            monotonic_ns=np.array(self._monotonic_ns, dtype=np.int64),
            names=tuple(self._names),
            registers=tuple(
                bytes(self._registers[start:end]) for start, end in zip(starts, self._ends, strict=True)
            ),
        )
