"""What a run leaves behind in numbers: read from source and warehouse at its end, then put into words.

Invariant: every number is counted where it lies (source, archive's checkpoint, warehouse), none is the run's own tally,
so a resumed run and a replay give the same figures.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pg8000.native import InterfaceError
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES, Kind, StarRow
from services.ops.status import LOCK_TIMEOUT_SECONDS, Status, Warehouse, sql
from services.ops.view import BAD, GOOD, NOTHING, counts, duration, facts_grid, freshness_sentence, new_table, sentences
from shared.errors import SourceUnavailable
from shared.postgres import Connection, DatabaseError, Dsn, connect, explain, identifier, rows_of

COUNT_TIMEOUT_SECONDS = 10.0
"""For counting one source table: a larger one is a guest's house not to be swept for a summary."""

QUERY_CANCELED = "57014"
"""SQLSTATE of a statement that ran into its timeout."""


@dataclass(frozen=True)
class StarCount:
    """Rows of one star table; of a fact also the source rows whose versions they are."""

    rows: int
    source_rows: int | None = None


@dataclass(frozen=True)
class Summary:
    """A run from its start to its drained end."""

    status: Status
    source_rows: Mapping[str, int | None]
    """Feed -> rows in the source; None where counting took too long."""
    stars: Mapping[str, StarCount]
    elapsed_seconds: float
    first_row_seconds: float | None
    """From the start to the first commit in the warehouse; None where nothing new came."""
    drained: bool
    simulated: Mapping[str, int] = field(default_factory=dict)


def count_source(dsn: str, schema: str) -> dict[str, int | None]:
    """Rows of every feed's table in the source now. Raises Unavailable or ConfigurationError."""
    parsed = Dsn.parse(dsn)
    try:
        with connect(
            parsed,
            application_name="totes summary",
            statement_timeout_seconds=COUNT_TIMEOUT_SECONDS,
            lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
        ) as connection:
            return {feed: _count_rows(connection, schema, feed) for feed in FEEDS}
    except (DatabaseError, InterfaceError, OSError) as exc:
        explain(exc, parsed.place, parsed.user, unavailable=SourceUnavailable)


def count_stars(warehouse: Warehouse) -> dict[str, StarCount]:
    """Rows of every star table now. Raises Unavailable or ConfigurationError."""
    return {table.table: _count_star(warehouse, table) for table in STAR_TABLES}


def first_row(warehouse: Warehouse, elapsed_seconds: float) -> float | None:
    """Seconds from the run's start to its first commit of rows; durations only, so no two clocks are compared."""
    [[age_seconds]] = warehouse.read(sql("first_row_age"), elapsed_seconds=elapsed_seconds)
    return None if age_seconds is None else max(0.0, elapsed_seconds - age_seconds)


def render(summary: Summary) -> RenderableType:
    """The whole summary, readable from 80 columns."""
    parts = (_feeds_table(summary), _stars_table(summary), facts_grid(_facts(summary)))
    return Group(*(piece for part in parts for piece in (Text(), part)), Text(), *_verdict(summary))


def _count_rows(connection: Connection, schema: str, table: str) -> int | None:
    """None where counting takes too long: the only refusal that is no fault of anybody."""
    try:
        [[rows]] = rows_of(connection, f"SELECT count(*) FROM {identifier(schema)}.{identifier(table)}")
        return int(rows)
    except DatabaseError as exc:
        if exc.args[0].get("C") == QUERY_CANCELED:
            return None
        raise


def _count_star(warehouse: Warehouse, table: type[StarRow]) -> StarCount:
    name, key = identifier(table.table), identifier(table.key)
    if table.kind() is Kind.DIMENSION:
        [[rows]] = warehouse.read(f"SELECT count(*) FROM {name}")
        return StarCount(rows)
    [[rows, source_rows]] = warehouse.read(f"SELECT count(*), count(DISTINCT {key}) FROM {name}")
    return StarCount(rows, source_rows)


def _feeds_table(summary: Summary) -> Table:
    table = new_table("feed", "in the source", "captured", "loaded", "quarantined")
    for name, feed in summary.status.feeds.items():
        loaded = "archive only" if feed.star_table is None else f"{feed.rows_loaded:,}"
        source_rows = summary.source_rows.get(name)
        in_source = NOTHING if source_rows is None else f"{source_rows:,}"
        table.add_row(f" {name}", in_source, f"{feed.rows_captured:,}", loaded, f"{feed.rows_quarantined:,}")
    return table


def _stars_table(summary: Summary) -> Table:
    table = new_table("star table", "rows", "versions of")
    for name, star in summary.stars.items():
        versions = "" if star.source_rows is None else f"{star.source_rows:,} source rows"
        table.add_row(f" {name}", f"{star.rows:,}", versions)
    return table


def _facts(summary: Summary) -> dict[str, str]:
    status, fresh = summary.status, summary.status.freshness
    first = "nothing new arrived" if summary.first_row_seconds is None else duration(summary.first_row_seconds)
    facts = {
        "ran for": duration(summary.elapsed_seconds),
        "first row": first,
        "freshness": "no change was loaded" if fresh.p50_ms is None else freshness_sentence(fresh),
        "quarantined": f"{status.rows_quarantined:,} rows",
        "parked": f"{status.parked:,} messages",
    }
    if summary.simulated:
        facts["simulated"] = counts(summary.simulated)
    return facts


def _verdict(summary: Summary) -> Iterator[Text]:
    yield from (Text(f" ! {sentence}", style=BAD) for sentence in sentences(summary.status, counted=False))
    if summary.drained:
        yield Text(" Drained: everything captured is loaded, quarantined or parked.", style=GOOD)
    else:
        yield Text(" Not drained: messages are still waiting; the next `totes up` goes on with them.", style=BAD)
