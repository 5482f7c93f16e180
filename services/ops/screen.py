"""The live view: a picture of the terminal's own size, made of single lines. Pure.

Invariant: no line is wider and no picture higher than the terminal, whatever the numbers; what matters least is left
out first. What needs an operator is said in words, with the command to begin with, and never by colour alone.
"""

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Generic, TypeVar

from rich.console import Group
from rich.text import Text

from services.ops.flow import WINDOW_SECONDS, Arrival, Flow, Fresh, What
from services.ops.rates import Rate
from services.ops.status import SILENT_SECONDS, FeedStatus, QueueStatus
from services.ops.view import (
    BAD,
    GOOD,
    NOTHING,
    QUIET,
    Concern,
    Moment,
    concerns,
    counts,
    duration,
    headline,
    heartbeat_words,
    reconciled_words,
    standing,
    time_of,
)

LEFT_COLUMNS, RIGHT_COLUMNS, GAP_COLUMNS = 80, 65, 3
"""What feeds and queues need, what all of an arrival needs, and what keeps the two apart."""
LEAST_RIGHT_COLUMNS = 46
"""An arrival without its time and its reader."""
TWO_COLUMNS = LEFT_COLUMNS + GAP_COLUMNS + LEAST_RIGHT_COLUMNS
"""From this width on arrivals stand beside the feeds."""
BLOCKS = "▁▂▃▄▅▆▇█"
LEAST_MS = 250.0
"""Freshness that the lowest block stands for; each next one stands for twice as much.

A scale that stays lets two looks, and two evenings, be compared."""
UNITS = ("", " k", " M", " G", " T")
ONE_DECIMAL_BELOW = 10
CONCERN_LINES = 2
UNBROKEN = "\xa0"
"""A blank at which no line is broken."""
FIRST_ARRIVALS = 4
"""Their heading and three of them: what shows that something flows, wherever there is any room."""
TICK_LABEL_COLUMNS = 20
T = TypeVar("T")
_TWO_UNITS = re.compile("([0-9]+) (min|h|d) ([0-9]+) (s|min|h)")


@dataclass(frozen=True)
class View:
    """All that is shown: the moment, what flows, and how fast."""

    moment: Moment
    flow: Flow = field(default_factory=Flow)
    rates: Mapping[str, Rate] = field(default_factory=dict)


@dataclass(frozen=True)
class Block:
    """Lines that belong together. The lower the rank, the later they are left out; fewer than `least` say nothing."""

    rank: int
    lines: Sequence[Text]
    least: int = 1
    more: Callable[[int], Text] | None = None
    """What stands in the last line's place where so many are left out."""


@dataclass(frozen=True)
class FeedRow:
    """All that a feed's line is made of."""

    name: str
    feed: FeedStatus
    rate: Rate | None
    fresh: Fresh | None
    now: datetime


@dataclass(frozen=True)
class Column(Generic[T]):
    """One column of a table: right-aligned but for the first, left out in the order of its rank, the greatest first."""

    head: str
    width: int
    rank: int
    cell: Callable[[T, int], Text | str]
    """The cell's content, in so many characters at most."""
    left: bool = False


def screen(view: View, width: int, height: int) -> Group:
    """The picture for a terminal of that size."""
    return Group(*lines(view, width, height))


def lines(view: View, width: int, height: int) -> list[Text]:
    """The picture's lines, the most important ones where there is room for few."""
    if width < TWO_COLUMNS:
        return fitted(
            [*_above(view, width), *_status(view, width), *_arrivals(view, width), _concerns(view, width)], height
        )
    right = min(RIGHT_COLUMNS, width - LEFT_COLUMNS - GAP_COLUMNS)
    left = width - right - GAP_COLUMNS
    above, below = _above(view, width), _concerns(view, width)
    room = height - len(fitted([*above, below], height))
    both = beside(fitted(_status(view, left), room), fitted(_arrivals(view, right)[1:], room), left)
    return fitted([*above, Block(2, both), below], height)


def fitted(blocks: Sequence[Block], height: int) -> list[Text]:
    """The blocks' lines in their order, as many as there is room for, by rank."""
    kept: dict[int, list[Text]] = {}
    left = height
    for place in sorted(range(len(blocks)), key=lambda each: blocks[each].rank):
        block = blocks[place]
        if min(block.least, len(block.lines)) <= left:
            kept[place] = _cut(block, left)
            left -= len(kept[place])
    return [line for place in sorted(kept) for line in kept[place]]


def beside(left: Sequence[Text], right: Sequence[Text], width: int) -> list[Text]:
    """Two columns of lines, the left one as wide as is said."""
    pairs = zip_longest(left, right, fillvalue=Text())
    return [Text.assemble(_sized(one, width), " " * GAP_COLUMNS, other) for one, other in pairs]


def table(columns: Sequence[Column[T]], rows: Iterable[T], width: int) -> list[Text]:
    """Heading and rows, with the columns that matter most of those for which there is no room."""
    chosen = fitting(columns, width)
    heads = [_cell(Text(column.head, style="bold"), column) for column in chosen]
    body = [Text.assemble(*(_cell(column.cell(row, column.width - 1), column) for column in chosen)) for row in rows]
    return [_clipped(line, width) for line in (Text.assemble(*heads), *body)]


def fitting(columns: Sequence[Column[T]], width: int) -> list[Column[T]]:
    """The columns for which there is room, in their order; the most important one in any case."""
    chosen = sorted(columns, key=lambda column: column.rank)
    while len(chosen) > 1 and sum(column.width for column in chosen) > width:
        chosen.pop()
    return [column for column in columns if column in chosen]


def number(count: int, width: int) -> str:
    """A count in so many characters: 12,345,678, else 12.3 M."""
    exact = f"{count:,}"
    if len(exact) <= width:
        return exact
    rounded = (
        f"{count / 1000**power:,.{decimals}f}{UNITS[power]}" for power in range(1, len(UNITS)) for decimals in (1, 0)
    )
    return next((text for text in rounded if len(text) <= width), exact)


def brief(seconds: float | None) -> str:
    """A time in seven characters at most: 850 ms, 2.4 s, 3m 05s, 2h 10m, 3d 4h."""
    return _TWO_UNITS.sub(lambda found: f"{found[1]}{found[2][0]} {found[3]}{found[4][0]}", duration(seconds))


def pace(rows_a_second: float | None, width: int) -> Text | str:
    """A rate: one decimal below ten, nothing that draws the eye where nothing moves."""
    if rows_a_second is None:
        return NOTHING
    tenths = round(rows_a_second * 10)
    if tenths == 0:
        return Text("0", style=QUIET)
    return f"{tenths / 10:.1f}" if tenths < ONE_DECIMAL_BELOW * 10 else number(round(rows_a_second), width)


def sparkline(values: Iterable[float | None]) -> str:
    """A block for each value in milliseconds, nothing where there is none."""
    return "".join(" " if value is None else BLOCKS[_level(value)] for value in values)


def _level(value_ms: float) -> int:
    steps = (LEAST_MS * 2**power for power in range(len(BLOCKS) - 1))
    return sum(value_ms > step for step in steps)


def _above(view: View, width: int) -> list[Block]:
    return [Block(0, [_clipped(headline(view.moment), width)]), Block(7, [Text()])]


def _status(view: View, width: int) -> list[Block]:
    """Feeds, queues, freshness and what the run says of itself."""
    status = view.moment.status
    now, minute = status.at, view.flow.minute
    feeds = [
        FeedRow(name, feed, view.rates.get(name), minute.feeds.get(name), now) for name, feed in status.feeds.items()
    ]
    queues = table(QUEUE_COLUMNS, status.queues.items(), width)
    says = f"{heartbeat_words(status.heartbeat)}; {reconciled_words(status.reconciliation, now)}"
    simulated = view.moment.simulated
    return [
        Block(2, table(FEED_COLUMNS, feeds, width), least=4, more=_more_feeds),
        Block(6, [Text()]),
        Block(3, queues, least=3),
        Block(8, [Text()]),
        Block(4, [_clipped(line, width) for line in _freshness(view, width)], least=2),
        Block(12, [_clipped(_scale(), width)]),
        Block(9, [_clipped(Text(f" heartbeat  {says}"), width)]),
        Block(10, [_clipped(Text(f" simulated  {counts(simulated)}"), width)] if simulated else []),
    ]


def _arrivals(view: View, width: int) -> list[Block]:
    """A blank line, and the rows that came last: a few before most other things, the rest where there is room."""
    if not view.flow.arrivals:
        return [Block(8, [Text()]), Block(5, [_clipped(Text(" No row was loaded yet.", style=QUIET), width)])]
    shown = table(ARRIVAL_COLUMNS, view.flow.arrivals, width)
    first, rest = shown[:FIRST_ARRIVALS], shown[FIRST_ARRIVALS:]
    return [Block(8, [Text()]), Block(5, first, least=2), Block(11, rest)]


def _concerns(view: View, width: int) -> Block:
    """What needs an operator, with the command; what a run remarks has none."""
    found = [line for concern in concerns(view.moment.status) for line in _concern(concern, width)]
    found += [_clipped(Text(f" ! {remark}", style=BAD), width) for remark in view.moment.remarks]
    return Block(
        1, found, more=lambda left: _clipped(Text(f" ! {left + 1} more lines: totes status", style=BAD), width)
    )


def _concern(concern: Concern, width: int) -> Iterator[Text]:
    """A sentence of two lines at most, and always its command."""
    end = f" → {concern.command}"
    room = max(1, CONCERN_LINES * (width - 4) - len(end) - 8)
    said = textwrap.shorten(concern.sentence, room, placeholder=" …")
    glued = end.replace(" ", UNBROKEN)
    for place, line in enumerate(textwrap.wrap(said + glued, max(20, width - 4), break_long_words=False)):
        told, ended, _ = line.partition(glued)
        text = Text(f"{'   ' if place else ' ! '}{told}", style=BAD)
        yield _clipped(Text.assemble(text, " → ", (concern.command, "bold")) if ended else text, width)


def _freshness(view: View, width: int) -> Iterator[Text]:
    """p50 and p99 of the last minute, a block a second, as many of the last seconds as there is room for."""
    minute = view.flow.minute
    ticks = minute.seconds[-max(1, min(WINDOW_SECONDS, width - TICK_LABEL_COLUMNS)) :]
    yield _ticks("fresh p50", [_p50(fresh) for fresh in ticks], _p50(minute.whole))
    yield _ticks("      p99", [_p99(fresh) for fresh in ticks], _p99(minute.whole))


def _ticks(name: str, each_ms: Iterable[float | None], whole_ms: float | None) -> Text:
    told = brief(None if whole_ms is None else whole_ms / 1000)
    return Text.assemble((f" {name}", "bold"), f"{told:>8}  ", (sparkline(each_ms), "cyan"))


def _p50(fresh: Fresh | None) -> float | None:
    return None if fresh is None else fresh.p50_ms


def _p99(fresh: Fresh | None) -> float | None:
    return None if fresh is None else fresh.p99_ms


def _scale() -> Text:
    most_seconds = LEAST_MS * 2 ** (len(BLOCKS) - 2) / 1000
    text = f"{BLOCKS[0]} {LEAST_MS:.0f} ms at most, each step twice that, {BLOCKS[-1]} over {most_seconds:g} s"
    return Text(" " * TICK_LABEL_COLUMNS + text, style=QUIET)


def _more_feeds(left: int) -> Text:
    return Text(f" … and {left + 1} more feeds", style=QUIET)


def _cut(block: Block, room: int) -> list[Text]:
    if len(block.lines) <= room or block.more is None or not room:
        return list(block.lines[:room])
    return [*block.lines[: room - 1], block.more(len(block.lines) - room)]


def _cell(content: Text | str, column: Column[T]) -> Text:
    """A cell of exactly the column's width, its neighbour's gap included."""
    text = content.copy() if isinstance(content, Text) else Text(content)
    text.truncate(column.width - 1, overflow="ellipsis")
    missing = column.width - 1 - text.cell_len
    return Text.assemble(" ", text, " " * missing) if column.left else Text.assemble(" " * (missing + 1), text)


def _sized(line: Text, width: int) -> Text:
    sized = line.copy()
    sized.truncate(width, pad=True)
    return sized


def _clipped(line: Text, width: int) -> Text:
    """The line, cut with an ellipsis where it is too long; it never wraps."""
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _feed_name(row: FeedRow, _: int) -> Text:
    return Text(row.name, style=BAD if row.feed.stopped else "")


def _loaded(row: FeedRow, width: int) -> str:
    return NOTHING if row.feed.star_table is None else number(row.feed.rows_loaded, width)


def _loaded_pace(row: FeedRow, width: int) -> Text | str:
    return NOTHING if row.feed.star_table is None else pace(row.rate.loaded if row.rate else None, width)


def _in_flight(row: FeedRow, width: int) -> str:
    batches = row.feed.batches_in_flight
    return NOTHING if batches is None else number(batches, width)


def _lag(row: FeedRow, _: int) -> Text:
    lag_seconds = row.feed.lag_seconds
    late = lag_seconds is not None and lag_seconds > SILENT_SECONDS
    return standing(row.feed) or Text(brief(lag_seconds), style=BAD if late else "")


def _as_of(row: FeedRow, _: int) -> str:
    return NOTHING if row.feed.as_of is None else time_of(row.feed.as_of, row.now)


def _alarming(count: int, width: int) -> Text:
    """A number that should be zero."""
    return Text(number(count, width), style=BAD if count else QUIET)


def _arrival_key(row: Arrival, width: int) -> str:
    return str(row.key) if row.key is not None else f"{number(row.rows, width - 5)} row{'' if row.rows == 1 else 's'}"


FEED_COLUMNS: tuple[Column[FeedRow], ...] = (
    Column("feed", 15, 0, _feed_name, left=True),
    Column("captured", 11, 1, lambda row, width: number(row.feed.rows_captured, width)),
    Column("/s", 6, 8, lambda row, width: pace(row.rate.captured if row.rate else None, width)),
    Column("loaded", 11, 2, _loaded),
    Column("/s", 6, 7, _loaded_pace),
    Column("in flight", 10, 4, _in_flight),
    Column("quarantined", 12, 9, lambda row, width: _alarming(row.feed.rows_in_quarantine, width)),
    Column("fresh", 8, 5, lambda row, _: brief(row.fresh.p50_ms / 1000 if row.fresh else None)),
    Column("lag", 8, 3, _lag),
    Column("as of", 13, 10, _as_of),
)
QUEUE_COLUMNS: tuple[Column[tuple[str, QueueStatus]], ...] = (
    Column("queue", 15, 0, lambda row, _: row[0], left=True),
    Column("visible", 11, 1, lambda row, width: number(row[1].visible, width)),
    Column("in flight", 12, 3, lambda row, width: number(row[1].in_flight, width)),
    Column("oldest", 11, 4, lambda row, _: brief(row[1].oldest_seconds)),
    Column("parked", 12, 2, lambda row, width: _alarming(row[1].parked, width)),
)
COLOUR = {What.NEW: GOOD, What.CHANGED: "", What.LOADED: "", What.DELETED: "yellow", What.QUARANTINED: BAD}
ARRIVAL_COLUMNS: tuple[Column[Arrival], ...] = (
    Column("loaded at", 10, 5, lambda row, _: f"{row.at.astimezone(UTC):%H:%M:%S}Z", left=True),
    Column("feed", 15, 0, lambda row, _: row.feed, left=True),
    Column("key", 11, 1, _arrival_key),
    Column("what", 12, 2, lambda row, _: Text(row.what, style=COLOUR[row.what]), left=True),
    Column("fresh", 8, 3, lambda row, _: brief(row.fresh_seconds)),
    Column("by", 9, 4, lambda row, _: row.origin.value, left=True),
)
