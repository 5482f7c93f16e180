"""Each stage alone: the services' own functions over every page of the sales orders, one by one, in one process.

Invariant: nothing is imitated. What a stage gives is what the next one takes, and the last commits it to a star schema.
Only the queues, the object store and the functions' starts are left out: the whole path measures those.
"""

import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from contracts.feeds import FEEDS, Feed
from contracts.messages import ROW_HASH, ChangeBatch, LoadBatch, ObjectRef, Origin
from contracts.star import StarRow
from services.loader.handler import TRANSACTION_ROWS
from services.loader.load import load
from services.loader.staging import Load, stage
from services.loader.warehouse import Warehouse
from services.ops.bench.copied import LOCK_TIMEOUT_SECONDS, STATEMENT_TIMEOUT_SECONDS, copy_across, session
from services.ops.bench.figures import Figure, Task, measured
from services.ops.bench.kept import KeptMessages, KeptObjects
from services.ops.bench.stand import Server, Stand, standing
from services.ops.bench.used import seconds_inside
from services.poller.poller import Adapters, Poller
from services.transform.archive import decode
from services.transform.incoming import read_message
from services.transform.row_hash import row_hashes
from services.transform.star import BUILDERS, Columns, Rows
from services.transform.transform import load_batch_of, transform
from shared import parquet
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.objects import sha256
from shared.postgres import Dsn, connect, identifier
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source

FEED, MOVED = "sales_order", "units_sold"
MILLION = 1_000_000
TICK_SECONDS = 0.01
"""The kernel counts another process's time in these: less is nothing."""
COMPRESSING = ("compress", "flush")
"""What the compressing functions of every zlib are called."""
PATH = ("extract", "compress", "parse", "row hash", "validate", "build", "Parquet write", "Parquet read", "load")
"""What a backfill's rows take: they reach the fact without a stage."""
LATER = ("stage", "merge")
"""What rows take instead of `load` where some of them may begin no version."""


@dataclass(frozen=True)
class Spent:
    """Seconds: of this process's processor, of the servers' processors, of the wall's clock."""

    own: float = 0.0
    server: float = 0.0
    wall: float = 0.0

    def __add__(self, other: "Spent") -> "Spent":
        """Both together."""
        return Spent(self.own + other.own, self.server + other.server, self.wall + other.wall)

    def __sub__(self, other: "Spent") -> "Spent":
        """What came after the other."""
        return Spent(self.own - other.own, self.server - other.server, self.wall - other.wall)

    @property
    def cpu(self) -> float:
        """Of all processors."""
        return self.own + self.server


Ledger = dict[str, Spent]
"""What each stage took, by its name."""


@dataclass(frozen=True)
class Limits:
    """Processor seconds of Postgres alone with the same rows: plain COPY out, COPY into a bare table, one bare copy."""

    extract: float
    stage: float
    merge: float


def measure(task: Task) -> Sequence[Figure]:
    """Every stage as often as runs are asked for, each in a schema of its own."""
    with standing(task.folder / "stages", task.orders) as stand:
        ledgers, limits = [], []
        for run in range(1, task.runs + 1):
            task.say(f"Stages alone over {task.orders:,} orders, run {run} of {task.runs}")
            schema = stand.new_schema(f"bench_{run}")
            ledgers.append(run_once(stand, schema))
            limits.append(limits_of(stand, schema))
    return list(figures_of(ledgers, limits, task.orders))


def figures_of(ledgers: Sequence[Ledger], limits: Sequence[Limits], rows: int) -> Iterator[Figure]:
    """Processor seconds for a million rows, stage by stage and together. Pure."""
    beside = {
        "extract": ("plain COPY out, in Postgres", [one.extract for one in limits]),
        "load": ("COPY into a bare table, in Postgres", [one.stage for one in limits]),
        "stage": ("COPY into a bare table, in Postgres", [one.stage for one in limits]),
        "merge": ("CREATE TABLE AS of the fact", [one.merge for one in limits]),
    }
    for name in (*PATH, *LATER):
        limit_name, found = beside.get(name, ("", []))
        yield _figure(name, [ledger[name] for ledger in ledgers], rows, limit_name, found)
    together = [sum((ledger[name] for name in PATH), Spent()) for ledger in ledgers]
    bare = [one.extract + one.stage for one in limits]
    yield _figure("all stages of a backfill", together, rows, "COPY | COPY, in Postgres", bare)


def _figure(name: str, spent: Sequence[Spent], rows: int, limit_name: str, limits: Sequence[float]) -> Figure:
    scale = MILLION / rows
    server, wall = (sorted(values)[len(spent) // 2] * scale for values in _columns(spent))
    inside = f"{server:.2f} of it in Postgres, " if server >= TICK_SECONDS else ""
    return measured(
        name,
        [one.cpu * scale for one in spent],
        "CPU s / 1M rows",
        limits=[limit * scale for limit in limits],
        limit_name=limit_name,
        note=f"{inside}{wall:.2f} s by the clock",
    )


def _columns(spent: Sequence[Spent]) -> tuple[list[float], list[float]]:
    return [one.server for one in spent], [one.wall for one in spent]


def run_once(stand: Stand, schema: str) -> Ledger:
    """Take all feeds from source to star schema, dimensions first; what the sales orders took."""
    ledger: Ledger = {}
    with _warehouse(stand, schema) as warehouse:
        for feed in FEEDS.values():
            if feed.star is not None:
                found = _carry(stand, warehouse, feed, feed.star)
                ledger = found if feed.name == FEED else ledger
    return ledger


def _carry(stand: Stand, warehouse: Warehouse, feed: Feed, star: type[StarRow]) -> Ledger:
    """One feed through every stage."""
    ledger: Ledger = defaultdict(Spent)
    with _spent(ledger, "extract", stand.source):
        polled = _poll(stand, feed)
    with seconds_inside(COMPRESSING) as compressing:
        _poll(stand, feed)
    ledger["compress"] = Spent(own=compressing(), wall=compressing())
    ledger["extract"] -= ledger["compress"]
    loads = [_transformed(ledger, feed, star, batch, body) for batch, body in polled]
    pages = max(1, TRANSACTION_ROWS // Settings().page_rows)
    for start in range(0, len(loads), pages):
        _load(ledger, stand.warehouse, warehouse, star, loads[start : start + pages])
    return ledger


def _poll(stand: Stand, feed: Feed) -> list[tuple[ChangeBatch, bytes]]:
    """Every row of the feed, as the poller reads and publishes it; its change batches with their bytes."""
    settings, objects, queue = Settings(scan_max_rows=0), KeptObjects(), KeptMessages()
    source = Source(
        lambda: _connect(stand.source),
        schema=settings.source_schema,
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
    )
    adapters = Adapters(
        source, Publisher(objects, "archive", queue), CheckpointStore(objects, "control"), logger("bench", "ERROR")
    )
    poller = Poller(owner="bench", feeds=[feed], settings=settings, adapters=adapters, now=time.monotonic)
    try:
        poller.claim()
        poller.poll()
        while poller.busy:
            poller.poll()
    finally:
        source.close()
    return [(batch, objects.get(batch.data.object)) for batch in map(read_message, queue.bodies)]


def _transformed(ledger: Ledger, feed: Feed, star: type[StarRow], batch: ChangeBatch, body: bytes) -> Load:
    """A change batch's load batch with its Parquet file, timed where the transform calls the builder."""
    parsing, moments = _now(), list[Spent]()
    columns = decode(body, batch.data.columns, batch.data.object.rows, batch.data.object.key)
    parsed = _now()
    if ROW_HASH not in columns:
        row_hashes([*columns.values()])
    hashed = _now()

    def build(rows: Rows) -> Columns:
        moments.append(_now())
        built = BUILDERS[star.table](rows)
        moments.append(_now())
        return built

    outcome = transform(batch, feed, body, {star.table: build})
    written = _now()
    built_from, built_to = moments
    ledger["parse"] += parsed - parsing
    ledger["row hash"] += hashed - parsed
    ledger["validate"] += (built_from - hashed) - (hashed - parsing)
    ledger["build"] += built_to - built_from
    ledger["Parquet write"] += written - built_to
    if outcome.parquet is None:
        raise AssertionError(f"{feed.name} has a star table, so a changed batch of it has a file")
    file = outcome.parquet
    stored = ObjectRef(bucket="processed", key=file.key, sha256=sha256(file.body), bytes=len(file.body), rows=file.rows)
    return Load(load_batch_of(batch, feed, star, stored), lambda: parquet.read(star, file.body))


def _load(ledger: Ledger, server: Server, warehouse: Warehouse, star: type[StarRow], loads: Sequence[Load]) -> None:
    """Load the rows, which nobody has seen; then, as if all but one had changed, stage and forget them, and load them.

    What that takes beyond staging is the merge.
    """
    with _spent(ledger, "Parquet read"):
        read = [each.read() for each in loads]
    held = [_held(each.batch, columns) for each, columns in zip(loads, read, strict=True)]
    with _spent(ledger, "load", server):
        load(warehouse, star, held)
    later = [_held(_later(each.batch), _changed(columns)) for each, columns in zip(loads, read, strict=True)]
    alone: Ledger = defaultdict(Spent)
    with _spent(alone, "stage", server):
        warehouse.transaction(star, lambda connection: [stage(connection, star, each) for each in later])
    with _spent(alone, "load", server):
        load(warehouse, star, later)
    ledger["stage"] += alone["stage"]
    ledger["merge"] += alone["load"] - alone["stage"]


def _held(batch: LoadBatch, columns: Mapping[str, parquet.Array]) -> Load:
    return Load(batch, lambda: columns)


def _later(batch: LoadBatch) -> LoadBatch:
    """The same rows at the source's next revision."""
    data = batch.data
    position = data.position.model_copy(update={"revision": data.position.revision + 1})
    told = {"change_batch": f"{data.change_batch} later", "position": position, "origin": Origin.POLL}
    return LoadBatch.of(data.model_copy(update=told))


def _changed(columns: Mapping[str, parquet.Array]) -> Mapping[str, parquet.Array]:
    """Every order but the first sells one unit more; other rows stay as they are."""
    return {
        name: column + (np.arange(len(column)) > 0) if name == MOVED else column for name, column in columns.items()
    }


@contextmanager
def _spent(ledger: Ledger, name: str, server: Server | None = None) -> Iterator[None]:
    """Count what is done inside as that stage's."""
    before = _now(server)
    yield
    ledger[name] += _now(server) - before


def _now(server: Server | None = None) -> Spent:
    return Spent(time.process_time(), server.cpu_seconds() if server else 0.0, time.monotonic())


def limits_of(stand: Stand, schema: str) -> Limits:
    """What Postgres alone needs for the same rows."""
    source, target = stand.source, stand.warehouse
    before = source.cpu_seconds(), target.cpu_seconds()
    copy_across(source.superuser, target.superuser)
    after = source.cpu_seconds(), target.cpu_seconds()
    with session(target.superuser) as connection:
        table = f"{identifier(schema)}.bench_bare_fact"
        fact = f"{identifier(schema)}.fact_sales_order"
        connection.run(
            f"CREATE TABLE {table} AS SELECT * FROM {fact} WHERE _revision = (SELECT min(_revision) FROM {fact})"
        )
        merged = target.cpu_seconds() - after[1]
        connection.run(f"DROP TABLE {table}")
    return Limits(after[0] - before[0], after[1] - before[1], merged)


@contextmanager
def _warehouse(stand: Stand, schema: str) -> Iterator[Warehouse]:
    warehouse = Warehouse(lambda: _connect(stand.warehouse), schema)
    try:
        yield warehouse
    finally:
        warehouse.close()


def _connect(server: Server) -> Any:
    return connect(
        Dsn.parse(server.login),
        application_name="totes bench",
        statement_timeout_seconds=STATEMENT_TIMEOUT_SECONDS,
        lock_timeout_seconds=LOCK_TIMEOUT_SECONDS,
    )
