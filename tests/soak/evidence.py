"""Reads journal and warehouse at the end, and judges. SQL of its own; shares no code with the pipeline."""

import json
import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from pg8000.native import Connection, identifier

from services.local.down import SOURCE, WAREHOUSE
from tests.e2e import oracle
from tests.soak.grounds import Grounds
from tests.soak.judge import SILENT, Change, Member, Moment, Verdict, Version, judge, judge_last
from tests.soak.load import FIRST_KEY, Books

READS_ORDINARY = ("backfill", "poll", "scan")
READS_SILENT = ("backfill", "scan")
"""What reads a feed whole, up to its last snapshot. A repair reads single rows and proves nothing of others."""
FACTS = {"sales_order": ("sales_order_id", "units_sold"), "payment": ("payment_id", "payment_amount")}
"""Key, and the column that carries the version."""
_CHANGES = (
    "SELECT number, key, version, operation, clock, server, before FROM soak.journal WHERE feed = :feed ORDER BY number"
)
_BATCHES = "SELECT feed, origin, generation, revision, as_of, object_key, loaded_at FROM _load_batch"
_HISTORY = """
SELECT {key}, {version}::int, ended_by FROM {view} WHERE {key} >= :first ORDER BY {key}, valid_from"""
_LOADED = """
SELECT f.{key}, f.{version}::int, max(b.loaded_at)
  FROM {fact} f JOIN _load_batch b ON (b.feed, b.generation, b.revision) = (:feed, f._generation, f._revision)
 WHERE f.{key} >= :first GROUP BY 1, 2"""
_MEMBERS = """
SELECT {key}, CASE WHEN {column} ~ '^v[0-9]+$' THEN substr({column}, 2)::int ELSE 0 END,  -- 0: an inferred member
       coalesce((_deleted_generation, _deleted_revision) > (_generation, _revision), false)
  FROM {dimension} WHERE {key} >= :first"""


@dataclass(frozen=True)
class Committed:
    """A change with the source's clock just before its commit."""

    change: Change
    clock: datetime


@dataclass(frozen=True)
class Batch:
    """A load batch in the warehouse's books."""

    feed: str
    origin: str
    moment: Moment
    as_of: datetime
    name: str
    """Of its archive object, without folder and ending."""
    loaded_at: datetime | None


@dataclass
class Findings:
    """What came out, over all feeds."""

    verdicts: dict[str, Verdict] = field(default_factory=dict)
    freshness: list[tuple[datetime, datetime, str]] = field(default_factory=list)
    """Clock of a commit, clock at which its version was loaded, and the operation."""
    batches: Sequence[Batch] = ()
    unloaded: list[str] = field(default_factory=list)
    """Archive objects that never arrived."""
    differing: list[str] = field(default_factory=list)
    """Star tables that are not what the second oracle computes from the source."""


class Evidence:
    """One end's reading. `starts` are the source server's starts, in order; `books` the writers'."""

    def __init__(self, grounds: Grounds, starts: Sequence[datetime], books: Books) -> None:
        self._grounds, self._starts, self._books = grounds, starts, books

    def findings(self) -> Findings:
        with self._grounds.session(SOURCE) as source, self._grounds.session(WAREHOUSE) as warehouse:
            found = Findings(batches=self._batches(warehouse))
            archived = self._never_loaded({batch.name for batch in found.batches})
            found.unloaded = [f"{one.feed} {one.name}" for one in archived if one.origin != "repair"]
            for feed in FACTS:
                self._judge_fact(feed, source, warehouse, [*found.batches, *archived], found)
            for feed in ("staff", "design"):
                members = _members(warehouse, feed)
                changes = [one.change for one in self._changes(source, feed)]
                found.verdicts[feed] = judge_last(feed, changes, members)
            found.differing = list(_differing(source, warehouse, self._grounds.description.warehouse_schema))
        return found

    def _judge_fact(
        self, feed: str, source: Connection, warehouse: Connection, batches: Sequence[Batch], found: Findings
    ) -> None:
        committed = self._changes(source, feed)
        found.verdicts[feed] = judge(
            feed,
            [one.change for one in committed],
            _history(warehouse, feed),
            polled=[one.moment for one in batches if one.feed == feed and one.origin in READS_ORDINARY],
            scanned=[one.moment for one in batches if one.feed == feed and one.origin in READS_SILENT],
        )
        loaded = _loaded(warehouse, feed)
        for one in committed:
            at = loaded.get((one.change.key, one.change.version))
            if at is not None:
                found.freshness.append((one.clock, at, one.change.operation))

    def _changes(self, source: Connection, feed: str) -> list[Committed]:
        return [
            Committed(
                Change(key, version, operation, Moment(self._start(server), before), self._after(number, server)), clock
            )
            for number, key, version, operation, clock, server, before in source.run(_CHANGES, feed=feed)
        ]

    def _after(self, number: int, server: datetime) -> Moment:
        """From when on it was seen; if its writer never learned that it was committed, from the server's next start."""
        if number in self._books.acknowledged:
            at, revision = self._books.acknowledged[number]
            return Moment(self._start(at), revision)
        return Moment(self._start(server) + 1, 0)

    def _start(self, clock: datetime) -> int:
        """Number of the start that a clock of the source belongs to."""
        return bisect_right(self._starts, clock)

    def _batches(self, warehouse: Connection) -> list[Batch]:
        return [
            Batch(feed, origin, Moment(self._start(as_of), revision), as_of, _name(key).rpartition("-")[0], loaded_at)
            for feed, origin, _, revision, as_of, key, loaded_at in warehouse.run(_BATCHES)
        ]

    def _never_loaded(self, loaded: set[str]) -> list[Batch]:
        """Archive objects of feeds with a star table that no load batch was made of, by what they say of themselves."""
        s3, bucket = self._grounds.client("s3"), self._grounds.description.buckets["archive"]
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Contents", ())]
        missing = [key for key in keys if _name(key) not in loaded and not key.startswith("department/")]
        return [self._batch(s3.head_object(Bucket=bucket, Key=key)["Metadata"]["envelope"], key) for key in missing]

    def _batch(self, envelope: str, key: str) -> Batch:
        told = json.loads(envelope)["data"]
        as_of = datetime.fromisoformat(told["as_of"])
        moment = Moment(self._start(as_of), told["position"]["revision"])
        return Batch(told["feed"], told["origin"], moment, as_of, _name(key), None)


def _name(key: str) -> str:
    return key.rpartition("/")[2].removesuffix(".tsv.gz").removesuffix(".parquet")


def _history(warehouse: Connection, feed: str) -> list[Version]:
    key, version = FACTS[feed]
    select = _HISTORY.format(key=identifier(key), version=identifier(version), view=identifier(f"history_{feed}"))
    return [Version(*row) for row in warehouse.run(select, first=FIRST_KEY)]


def _loaded(warehouse: Connection, feed: str) -> dict[tuple[int, int], datetime]:
    key, version = FACTS[feed]
    select = _LOADED.format(key=identifier(key), version=identifier(version), fact=identifier(f"fact_{feed}"))
    return {(key, version): at for key, version, at in warehouse.run(select, first=FIRST_KEY, feed=feed)}


def _members(warehouse: Connection, feed: str) -> Mapping[int, Member]:
    key, column, dimension = {
        "staff": ("staff_id", "email_address", "dim_staff"),
        "design": ("design_id", "file_name", "dim_design"),
    }[feed]
    select = _MEMBERS.format(key=identifier(key), column=identifier(column), dimension=identifier(dimension))
    return {key: Member(version, deleted) for key, version, deleted in warehouse.run(select, first=FIRST_KEY)}


def _differing(source: Connection, warehouse: Connection, schema: str) -> Iterable[str]:
    """Facts must be equal; dimensions keep what is gone from the source."""
    for table in (*oracle.SOURCE, "dim_date"):
        expected, held = oracle.expected(source, table), oracle.found(warehouse, schema, table)
        if expected != held if table.startswith("fact_") else not set(expected) <= set(held):
            yield table


# -- figures


def percentiles(seconds: Sequence[float]) -> dict[str, float | int | None]:
    """p50, p95, p99 and the greatest, in seconds, and of how many."""
    ordered = sorted(seconds)
    if not ordered:
        return {"count": 0, "p50": None, "p95": None, "p99": None, "max": None}
    at = {f"p{share}": ordered[math.ceil(len(ordered) * share / 100) - 1] for share in (50, 95, 99)}
    return {"count": len(ordered)} | {name: round(value, 3) for name, value in {**at, "max": ordered[-1]}.items()}


def freshness(findings: Findings, kills: Sequence[datetime]) -> dict[str, Any]:
    """Of ordinary changes, of those among them that no outage touched, and of silent ones."""
    outages = [(kill, _recovered(kill, findings.batches)) for kill in sorted(kills)]
    ordinary = [(clock, at) for clock, at, operation in findings.freshness if operation != SILENT]
    silent = [(clock, at) for clock, at, operation in findings.freshness if operation == SILENT]
    untouched = [(clock, at) for clock, at in ordinary if not _touched(clock, at, outages)]
    return {
        name: percentiles([(at - clock) / timedelta(seconds=1) for clock, at in ones])
        for name, ones in {"ordinary": ordinary, "ordinary_untouched": untouched, "silent": silent}.items()
    }


def _recovered(kill: datetime, batches: Sequence[Batch]) -> datetime:
    """When the first snapshot that was taken after a kill had been loaded: the whole path works again."""
    return min((one.loaded_at for one in batches if one.loaded_at and one.as_of > kill), default=kill)


def _touched(clock: datetime, at: datetime, outages: Sequence[tuple[datetime, datetime]]) -> bool:
    return any(began <= at and clock <= ended for began, ended in outages)
