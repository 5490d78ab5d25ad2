"""All outputs of this box together: which is told what, and when. A shell between alarms and threads of outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gateway.alarm.annunciator import Annunciator
from gateway.alarm.life import Alarm, AlarmChanged
from gateway.instant import Now
from gateway.outputs import Signalled, started
from gateway.plant import OutputConfig


class Sirens:
    """The outputs, their threads running from the start on.

    Args:
        configs: of each.
        config_rev: stands in what they are told.
    """

    def __init__(self, configs: Sequence[OutputConfig], config_rev: str) -> None:
        self._annunciator = Annunciator()
        self._outputs = tuple(started(config, config_rev) for config in configs)
        self._signalled = tuple(output for output in self._outputs if isinstance(output, Signalled))
        self._changes = tuple(output for output in self._outputs if not isinstance(output, Signalled))

    @property
    def signalled(self) -> list[str]:
        """Names of the horns and lamps."""
        return [output.name for output in self._signalled]

    def begin(self, standing: Iterable[Alarm]) -> None:
        """Tell horns and lamps how they are after the start."""
        self._annunciator.begin(standing)
        self._show()

    def sound(self, sirens: Iterable[AlarmChanged], changes: Sequence[AlarmChanged]) -> None:
        """Sound what an outcome says; never blocks.

        Args:
            sirens: changes that outputs are told one by one, tests' among them.
            changes: every change of a real alarm; horns and lamps follow these.
        """
        for change in sirens:
            for output in self._changes:
                output.sound(change)
            if change.alarm.test:
                self._annunciator.follow((change,))
        self._annunciator.follow(changes)
        self._show()

    def silence(self) -> list[str]:
        """Silence the horns.

        Returns:
            ids of the alarms that sounded; none of them is acknowledged by it.
        """
        silenced = self._annunciator.silence()
        self._show()
        return silenced

    def lamp_test(self, for_s: float, now: Now) -> None:
        """Turn all horns and lamps on for so long."""
        self._annunciator.lamp_test(for_s, now)
        self._show()

    @property
    def next_deadline(self) -> int:
        """Monotonic nanoseconds at which ``tick`` has something to do."""
        return self._annunciator.next_deadline

    def tick(self, now: Now) -> None:
        """End a lamp test whose time is over."""
        if now.mono_ns >= self.next_deadline:
            self._annunciator.tick(now)
            self._show()

    def failures(self) -> Iterator[tuple[str, str]]:
        """Every output's name and failure, "" if it is well."""
        return ((output.name, output.failure) for output in self._outputs)

    def view(self) -> list[dict[str, Any]]:
        """For ``status``."""
        return [output.state() for output in self._outputs]

    def close(self) -> list[str]:
        """Let the threads finish; names of those that hang."""
        return [output.name for output in self._outputs if not output.close()]

    def _show(self) -> None:
        for output in self._signalled:
            output.show(self._annunciator.show(output.signal, output.config.priorities))
