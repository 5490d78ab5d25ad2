"""Rows of a table, each on one line, cut to the height there is; what is too wide stands below its row. Pure.

Nothing here knows a status: ``gateway.tables`` says what the columns mean.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
from rich.segment import Segment
from rich.table import Table
from rich.text import Text

Lines: TypeAlias = list[list[Segment]]
Row: TypeAlias = Mapping[str, Text]

INDENT: Final = "    "
ANY_WIDTH: Final = 10_000
"""Wider than any table: measured against it a table says how wide it would like to be."""

ELASTIC: Final = frozenset({"description", "detail"})
"""Columns that are cut first where the width does not suffice."""

FIGURES: Final = frozenset(
    {"value", "peak", "limit", "good", "bad", "backlog", "rejected"}
    | {"count", "active", "unacknowledged", "new_10min", "new_last_hour", "new_24h", "disturbance"}
)


@dataclass(frozen=True, slots=True)
class Listing:
    """A table whose rows are one line each, or one line and a note where it is too wide.

    Attributes:
        title: heading of the table.
        columns: keys of the rows, in this order.
        rows: what stands in them.
        below: columns that go below their row when the width does not suffice, in this order.
        words: a column's heading.
        more: what to say of so many rows that are not shown.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Row]
    below: Sequence[str]
    words: Callable[[str], str]
    more: Callable[[int], str] = str

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from segments(self.lines(console, options))

    def lines(self, console: Console, options: ConsoleOptions, most: int | None = None) -> Lines:
        """The table as lines, at most ``most``; the last one then says how many rows are missing."""
        options = options.update(height=None)
        wide = self._table(self.columns)
        wish = Measurement.get(console, options.update(width=ANY_WIDTH), wide).maximum
        narrow = bool(self.below) and wish > options.max_width
        table = self._table([key for key in self.columns if key not in self.below]) if narrow else wide
        drawn = console.render_lines(table, options, pad=False)
        start = len(drawn) - len(self.rows)
        blocks = [[line] for line in drawn[start:]]
        if narrow:
            for block, row in zip(blocks, self.rows, strict=True):
                note = self._note(row)
                if note.plain.strip():
                    indented = Padding(note, (0, 0, 0, len(INDENT)), expand=False)
                    block.extend(console.render_lines(indented, options, pad=False))
        return drawn[:start] + self._cut(blocks, console, options, None if most is None else most - start)

    def _cut(
        self, blocks: Sequence[Lines], console: Console, options: ConsoleOptions, room: int | None
    ) -> Lines:
        if room is None or sum(len(block) for block in blocks) <= room:
            return [line for block in blocks for line in block]
        shown: Lines = []
        hidden = len(blocks)
        for block in blocks:
            if len(shown) + len(block) >= room:
                break
            shown += block
            hidden -= 1
        return shown + console.render_lines(Text(self.more(hidden), style="bold yellow"), options, pad=False)

    def _table(self, columns: Iterable[str]) -> Table:
        style = {"title_justify": "left", "title_style": "bold", "show_edge": False, "pad_edge": False}
        table = Table(title=self.title, box=box.SIMPLE_HEAD, **style)  # type: ignore[arg-type]
        shown = list(columns)
        for key in shown:
            justify = "right" if key in FIGURES else "left"
            table.add_column(self.words(key), justify=justify, no_wrap=key not in ELASTIC)  # type: ignore[arg-type]
        for row in self.rows:
            cells = [row[key].copy() for key in shown]
            for cell in cells:
                cell.no_wrap, cell.overflow = True, "ellipsis"
            table.add_row(*cells)
        return table

    def _note(self, row: Row) -> Text:
        note = Text(style="dim", overflow="fold")
        for key in self.below:
            if row[key].plain not in ("", "—"):
                note.append(f"{self.words(key)} ").append_text(row[key]).append("  ")
        note.rstrip()
        return note


def segments(lines: Lines) -> Iterable[Segment]:
    """Lines as rich wants them."""
    for line in lines:
        yield from line
        yield Segment.line()
