"""What people see of a status: a rich picture for a terminal, one plain line for anything else. Pure.

Invariant: everything that needs an operator (a stopped feed, quarantine, parked messages, a part that does not
answer) is said in words, not by colour alone.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from services.ops.status import FeedStatus, Freshness, HeartbeatStatus, QueueStatus, Reconciliation, Status

GOOD, BAD, QUIET = "green", "bold red", "dim"
NOTHING = "-"
MINUTE, HOUR, DAY = 60, 3600, 86_400
LEAST_SECOND, LEAST_MINUTE = 0.9995, 59.95
"""What rounds up to a whole one."""
WIDE_COLUMNS = 144
"""From this width on the feeds' table has room for positions and star tables."""


@dataclass(frozen=True)
class Moment:
    """A status, and what only a run knows: what it runs between, seconds since its start, the simulator's counts."""

    status: Status
    headline: str = ""
    elapsed_seconds: float | None = None
    simulated: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()
    """What the run has to say beside the status."""


def picture(moment: Moment, width: int) -> RenderableType:
    """The live view, readable from 80 columns."""
    status = moment.status
    parts: list[RenderableType] = [headline(moment), Text(), feeds_table(status, wide=width >= WIDE_COLUMNS)]
    facts = {
        "freshness": freshness_sentence(status.freshness),
        "heartbeat": f"{heartbeat_words(status.heartbeat)}; {reconciled_words(status.reconciliation, status.at)}",
    }
    if moment.simulated:
        facts["simulated"] = counts(moment.simulated)
    parts += [Text(), queues_table(status), Text(), facts_grid(facts)]
    parts += [Text(f" ! {sentence}", style=BAD) for sentence in (*sentences(status), *moment.remarks)]
    return Group(*parts)


def plain_line(moment: Moment) -> str:
    """All that moves, on one line, for a log or a pipe."""
    status = moment.status
    parts = [
        f"captured {status.rows_captured:,} loaded {status.rows_loaded:,} quarantined {status.rows_quarantined:,}",
        *(f"{name} {queue.visible}+{queue.in_flight}" for name, queue in status.queues.items()),
        f"parked {status.parked:,}",
        f"freshness {freshness_sentence(status.freshness)}",
    ]
    if moment.simulated:
        parts.append(f"simulated {sum(moment.simulated.values()):,}")
    parts += [f"! {sentence}" for sentence in (*sentences(status, counted=False), *moment.remarks)]
    clock = "" if moment.elapsed_seconds is None else f"{clock_of(moment.elapsed_seconds)}  "
    return clock + " · ".join(parts)


def feeds_table(status: Status, *, wide: bool) -> Table:
    """One line a feed."""
    table = new_table("feed", "captured", "loaded", "quarantined", "as of", "lag")
    if wide:
        table.add_column("complete as of", justify="right", no_wrap=True)
        table.add_column("look-back", justify="right")
        table.add_column("generation.revision", justify="right")
        table.add_column("loaded into")
    for name, feed in status.feeds.items():
        table.add_row(*_feed_cells(name, feed, wide=wide, now=status.at))
    return table


def queues_table(status: Status) -> Table:
    """One line a queue."""
    table = new_table("queue", "visible", "in flight", "oldest", "parked")
    for name, queue in status.queues.items():
        table.add_row(*_queue_cells(name, queue))
    return table


@dataclass(frozen=True)
class Concern:
    """What needs an operator, in a sentence, and the command to begin with."""

    sentence: str
    command: str


def concerns(status: Status, *, counted: bool = True) -> Iterator[Concern]:
    """What needs an operator; `counted` says quarantine and parked messages too."""
    if status.paused:
        yield Concern("The poller is paused by an operator.", "totes resume")
    for name, feed in status.feeds.items():
        if feed.stopped:
            yield Concern(f"Feed {name} is stopped: {feed.stopped}", "totes doctor")
    if waiting := [name for name, feed in status.feeds.items() if feed.paused]:
        yield Concern(f"Paused by an operator: {', '.join(waiting)}.", f"totes resume {waiting[0]}")
    if counted and status.rows_in_quarantine:
        broke = (
            "1 row broke its contract and lies"
            if status.rows_in_quarantine == 1
            else (f"{status.rows_in_quarantine:,} rows broke their contract and lie")
        )
        apart = f"{broke} in quarantine{_by_feed(status)}."
        yield Concern(apart, "totes dlq list")
    if counted and status.parked:
        messages = "1 message is" if status.parked == 1 else f"{status.parked:,} messages are"
        parked = f"{messages} parked in dead-letter queues{_by_cause(status)}."
        yield Concern(parked, "totes dlq list")
    yield from (Concern(note, "totes doctor") for note in status.notes)


def sentences(status: Status, *, counted: bool = True) -> Iterator[str]:
    """The concerns without their commands, as a log has them."""
    return (concern.sentence for concern in concerns(status, counted=counted))


def _by_feed(status: Status) -> str:
    """Which feeds' rows."""
    parts = [f"{name} {feed.rows_in_quarantine:,}" for name, feed in status.feeds.items() if feed.rows_in_quarantine]
    return f" ({', '.join(parts)})"


def _by_cause(status: Status) -> str:
    """Why, as far as that was looked into."""
    parts = [f"{one.queue} {one.cause} {one.count:,}" for one in status.parked_causes]
    return f" ({', '.join(parts)})" if parts else ""


def heartbeat_words(beat: HeartbeatStatus | None) -> str:
    """How long ago the pipeline last proved itself."""
    return "none yet" if beat is None else f"{duration(beat.age_seconds)} ago"


def reconciled_words(last: Reconciliation | None, now: datetime) -> str:
    """When, what was found and what was sent."""
    if last is None:
        return "not reconciled yet"
    ago = duration(max(0.0, (now - last.at).total_seconds()))
    held = f", {last.held_back:,} deletions held back" if last.held_back else ""
    skipped = f", {len(last.skipped)} feeds not compared" if last.skipped else ""
    return f"reconciled {ago} ago: {last.drift:,} differed, {last.repaired:,} repaired{held}{skipped}"


def freshness_sentence(freshness: Freshness) -> str:
    """Both percentiles with the number of rows and the window they come from."""
    window = duration(freshness.window_seconds)
    if freshness.p50_ms is None or freshness.p99_ms is None:
        return f"no change loaded in the last {window}"
    p50, p99 = duration(freshness.p50_ms / 1000), duration(freshness.p99_ms / 1000)
    return f"p50 {p50}, p99 {p99} ({freshness.samples:,} changed rows in the last {window})"


def counts(numbers: Mapping[str, int]) -> str:
    """A total and what it is made of: `15 row changes (order 12, silent 3)`; kinds of which there is none left out."""
    parts = ", ".join(f"{name.replace('_', ' ')} {number:,}" for name, number in numbers.items() if number)
    return f"{sum(numbers.values()):,} row changes" + (f" ({parts})" if parts else "")


def duration(seconds: float | None) -> str:
    """A time that people can compare: 850 ms, 2.4 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    if seconds is None:
        return NOTHING
    if seconds < LEAST_SECOND:
        return f"{seconds * 1000:.0f} ms"
    if seconds < LEAST_MINUTE:
        return f"{seconds:.1f}".removesuffix(".0") + " s"
    whole = round(seconds)
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE:02d} s"
    if whole < DAY:
        return f"{whole // HOUR} h {whole % HOUR // MINUTE:02d} min"
    return f"{whole // DAY} d {whole % DAY // HOUR} h"


def clock_of(seconds: float) -> str:
    """Time since the start, 01:05 or 2:01:05."""
    hours, rest = divmod(int(seconds), HOUR)
    return f"{hours}:{rest // MINUTE:02d}:{rest % MINUTE:02d}" if hours else f"{rest // MINUTE:02d}:{rest % MINUTE:02d}"


def facts_grid(facts: Mapping[str, str]) -> Table:
    """Names and sentences in two columns, so that a long sentence wraps under itself."""
    grid = Table.grid(padding=(0, 2))
    for name, sentence in facts.items():
        grid.add_row(f" {name}", Text(sentence))
    return grid


def headline(moment: Moment) -> Text:
    """How long it runs, and between what."""
    running = "" if moment.elapsed_seconds is None else f"  running {clock_of(moment.elapsed_seconds)}"
    return Text.assemble((" totes", "bold"), running, (f"  {moment.headline}", QUIET))


def new_table(first: str, *numbers: str) -> Table:
    """A table whose first column names and whose other columns count."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, show_edge=False, header_style="bold")
    table.add_column(f" {first}", min_width=15, no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _feed_cells(name: str, feed: FeedStatus, *, wide: bool, now: datetime) -> Iterator[RenderableType]:
    yield Text(f" {name}", style=BAD if feed.stopped else "")
    yield f"{feed.rows_captured:,}"
    yield NOTHING if feed.star_table is None else f"{feed.rows_loaded:,}"
    yield _alarming(feed.rows_quarantined)
    yield NOTHING if feed.as_of is None else time_of(feed.as_of, now)
    yield standing(feed) or duration(feed.lag_seconds)
    if wide:
        yield NOTHING if feed.complete_as_of is None else time_of(feed.complete_as_of, now)
        yield duration(feed.look_back_seconds)
        yield f"{feed.generation}.{feed.revision}"
        yield Text("archive only", style=QUIET) if feed.star_table is None else feed.star_table


def standing(feed: FeedStatus) -> Text | None:
    """Why nothing is read of a feed, in a word."""
    if feed.stopped or feed.paused:
        return Text("stopped" if feed.stopped else "paused", style=BAD)
    return None


def time_of(moment: datetime, now: datetime) -> str:
    """The time in UTC, with its date where that is another day's."""
    utc = moment.astimezone(UTC)
    return f"{utc:%H:%M:%S}Z" if utc.date() == now.astimezone(UTC).date() else f"{utc:%m-%d %H:%M}Z"


def _queue_cells(name: str, queue: QueueStatus) -> Iterator[RenderableType]:
    yield f" {name}"
    yield f"{queue.visible:,}"
    yield f"{queue.in_flight:,}"
    yield duration(queue.oldest_seconds)
    yield _alarming(queue.parked)


def _alarming(number: int) -> Text:
    return Text(f"{number:,}", style=BAD if number else "")
