"""Rebuild a star schema from the archive alone: every archived batch transformed and loaded here, in this process.

Invariant: the source is never asked. The same functions transform and load as in the live pipeline, under the same ids
and locks, so the tables end as if the messages had come once more, in whatever order; beside a live pipeline too. What
the schema's books hold is left alone: a rebuild that died goes on where it was, one that was complete has nothing to
do. A batch that cannot be transformed or loaded is told at the end and stops no other.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from contracts.feeds import Feed
from contracts.star import StarRow
from services.loader.load import fetch, load
from services.loader.migrate import migrate
from services.loader.staging import Load
from services.loader.warehouse import Warehouse
from services.ops.archived import Archive, Archived, Selection, WarehouseBooks, not_loaded
from services.ops.installation import Installation
from services.transform.transform import Workshop
from shared.errors import ConfigurationError, PipelineError, Unavailable
from shared.objects import ObjectStore
from shared.postgres import Dsn, connect
from shared.settings import Settings

ROWS_A_TRANSACTION = 50_000
"""Some seconds of work, so that a live loader of the same table never waits for long."""
BATCHES_A_TRANSACTION = 500
"""However few rows they have: each is held compressed until it is staged."""
NAMED = 100
"""Batches that failed and are kept with their reason; beyond, they are only counted."""
APPLICATION_NAME = "totes-rebuild"


@dataclass(frozen=True)
class Failed:
    """A batch that could not be transformed or loaded, and why."""

    key: str
    reason: str


@dataclass(frozen=True)
class Ready:
    """A batch that is transformed and waits for its transaction."""

    archived: Archived
    load: Load
    quarantined: int

    @property
    def rows(self) -> int:
        """Rows to be loaded."""
        return self.load.batch.data.object.rows


@dataclass
class Rebuilt:
    """What was done: batches and rows loaded, fact versions made, rows quarantined, and the batches that failed."""

    batches: int = 0
    rows: int = 0
    versions: int = 0
    quarantined: int = 0
    failures: int = 0
    failed: list[Failed] = field(default_factory=list)

    def count(self, group: Sequence[Ready], versions: int) -> None:
        """Count what was loaded in one transaction, by whoever committed it."""
        self.batches += len(group)
        self.rows += sum(one.rows for one in group)
        self.versions += versions
        self.quarantined += sum(one.quarantined for one in group)

    def fail(self, key: str, reason: str) -> None:
        """Count a batch that failed, and keep its reason while they are few."""
        self.failures += 1
        if len(self.failed) < NAMED:
            self.failed.append(Failed(key, reason))

    def counts(self) -> dict[str, int]:
        """The numbers by their names."""
        names = ("batches", "rows", "versions", "quarantined", "failures")
        return {name: getattr(self, name) for name in names}


class Progress(Protocol):
    """Whoever watches."""

    def moved(self, feed: str, batches: int, rows: int) -> None:
        """So many batches more are dealt with, of so many rows."""


@dataclass(frozen=True)
class Rebuilder:
    """From where, through what, to where."""

    archive: Archive
    workshop: Workshop
    warehouse: Warehouse
    rows_a_transaction: int = ROWS_A_TRANSACTION
    batches_a_transaction: int = BATCHES_A_TRANSACTION

    def missing(self, selection: Selection) -> int:
        """How many of the selected batches the schema does not hold. Raises Unavailable, ConfigurationError."""
        return sum(1 for feed in selection.feeds for _ in self._missing(feed, selection))

    def run(self, selection: Selection, done: Rebuilt, progress: Progress) -> None:
        """Load what is missing, parents before children; `done` is counted up as it is done.

        Raises Unavailable or ConfigurationError, where it must stop; run again, it goes on.
        """
        told = _Told(done, progress)
        for feed in selection.feeds:
            if feed.star is not None:
                ready = self._ready(feed, feed.star, selection, told)
                for group in transactions(ready, rows=self.rows_a_transaction, batches=self.batches_a_transaction):
                    self._load(feed.star, group, told)

    def _missing(self, feed: Feed, selection: Selection) -> Iterator[Archived]:
        return not_loaded(self.archive.of_feed(feed, selection), WarehouseBooks(self.warehouse))

    def _ready(self, feed: Feed, table: type[StarRow], selection: Selection, told: "_Told") -> Iterator[Ready]:
        for one in self._missing(feed, selection):
            if (made := self._attempt(one, table, told)) is not None:
                yield made

    def _transform(self, one: Archived, table: type[StarRow]) -> Ready:
        built = self.workshop.build(self.archive.batch(one))
        if built.load_batch is None:
            raise PipelineError(f"Expected a load batch of {one.key}, and its feed has no star table.")
        return Ready(one, fetch(self.workshop.objects, built.load_batch, table), built.quarantined)

    def _load(self, table: type[StarRow], group: Sequence[Ready], told: "_Told") -> None:
        """Load together; each alone where one of them may be the reason that this fails."""
        try:
            versions = load(self.warehouse, table, [one.load for one in group]).versions
        except (Unavailable, ConfigurationError):
            raise
        except Exception as exc:  # noqa: BLE001 - a mistake of ours that one batch meets must not stop the others
            if len(group) == 1:
                told.fail(group[0].archived, exc)
            for alone in group if len(group) > 1 else ():
                self._load(table, [alone], told)
        else:
            told.count(group, versions)

    def _attempt(self, one: Archived, table: type[StarRow], told: "_Told") -> Ready | None:
        try:
            return self._transform(one, table)
        except (Unavailable, ConfigurationError):
            raise
        except Exception as exc:  # noqa: BLE001 - see _load
            told.fail(one, exc)
            return None


@dataclass(frozen=True)
class _Told:
    """Whoever is told of each batch: the sums, and who watches."""

    done: Rebuilt
    progress: Progress

    def count(self, group: Sequence[Ready], versions: int) -> None:
        self.done.count(group, versions)
        self.progress.moved(group[0].archived.feed, len(group), sum(one.rows for one in group))

    def fail(self, one: Archived, exc: Exception) -> None:
        self.done.fail(one.key, in_words(exc))
        self.progress.moved(one.feed, 1, 0)


def transactions(ready: Iterable[Ready], *, rows: int, batches: int) -> Iterator[list[Ready]]:
    """Groups in their order, each ended by the batch that fills it with rows or with batches."""
    group: list[Ready] = []
    for one in ready:
        group.append(one)
        if len(group) == batches or sum(each.rows for each in group) >= rows:
            yield group
            group = []
    if group:
        yield group


def in_words(error: Exception) -> str:
    """Why a batch failed: our own sentence, or the kind alone of what nobody meant, which may hold a row's values."""
    return str(error) if isinstance(error, PipelineError) else f"A mistake of the pipeline's: {type(error).__name__}."


def rebuilder_of(description: Installation, schema: str, settings: Settings) -> Rebuilder:
    """What rebuilds a schema in the warehouse of a running stack; nothing connects yet."""
    objects = ObjectStore(description.client("s3"))
    return Rebuilder(
        Archive(objects, description.buckets["archive"]),
        Workshop(objects, description.buckets["processed"]),
        loading(description, schema, settings),
    )


def loading(description: Installation, schema: str, settings: Settings) -> Warehouse:
    """The loader's session with a schema in the warehouse of a running stack, not open yet."""
    return Warehouse(
        lambda: connect(
            Dsn.parse(description.warehouse_dsn),
            application_name=APPLICATION_NAME,
            statement_timeout_seconds=settings.statement_timeout_seconds,
            lock_timeout_seconds=settings.warehouse_lock_timeout_seconds,
        ),
        schema,
    )


def make_schema(description: Installation, schema: str) -> list[str]:
    """Bring a schema of a running stack's warehouse up to date, as its owner; the migrations that were applied."""
    return migrate(
        description.warehouse_owner_dsn,
        schema,
        loader_role=description.loader_role,
        analyst_role=description.analyst_role,
    )
