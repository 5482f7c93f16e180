"""Compaction: the small Parquet files of a day that is over, written once more as a few large ones beside them.

Invariant: nothing is overwritten or removed, and at every moment a reader that follows the newest manifest sees each
row once: the compacted file is stored first, the manifest that names it last, under the next sequence and only if
nobody has written that one. A run that dies leaves at worst a file that no manifest names; the next run writes the same
bytes under the same key. Of two at once one wins each sequence, and the other begins again from what it finds.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from typing import Any

from contracts.messages import ObjectRef, Operation
from contracts.star import STAR_TABLES, StarRow
from services.compactor.plan import Group, days_due, groups, is_over, next_group, next_manifest
from shared.errors import CheckpointConflict, CorruptObject
from shared.objects import ObjectStore, sha256
from shared.parquet import Array, Provenance, merge, read, read_keys
from shared.processed import FEED_OF, SHOWN_DIGEST, CompactedFile, Day, Manifest, Processed, SmallFile, compacted_key
from shared.telemetry import Logger

TABLES: Mapping[str, type[StarRow]] = {table.table: table for table in STAR_TABLES if table.table in FEED_OF}
"""The star tables that have files: all but dim_date, whose rows the loader makes."""


@dataclass(frozen=True)
class Task:
    """What one run looks at; by default what a schedule asks for."""

    tables: tuple[str, ...] = tuple(TABLES)
    day: date | None = None
    """Only this day, if it is over."""
    whole: bool = False
    """Every day that is over, however long ago, and no limit of time."""
    dry_run: bool = False


@dataclass(frozen=True)
class DayReport:
    """What was done for one table and day, or would be; compacted files are those this run made."""

    table: str
    day: date
    small_files: int = 0
    compacted_files: int = 0
    rows: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    unreadable: int = 0
    """Small files that could not be read and stay what is to be read."""


@dataclass(frozen=True)
class Report:
    """What a run came to: the days that had something to do, and whether its time was up before all was done."""

    days: tuple[DayReport, ...]
    broken_off: bool

    def as_answer(self) -> dict[str, Any]:
        """As JSON knows it."""
        return {"days": [{**asdict(each), "day": f"{each.day}"} for each in self.days], "broken_off": self.broken_off}


class Compactor:
    """The service, on one bucket."""

    def __init__(
        self,
        objects: ObjectStore,
        bucket: str,
        *,
        log: Logger,
        now: Callable[[], datetime],
        monotonic: Callable[[], float],
        budget_seconds: float,
    ) -> None:
        """Take the store, the processed bucket, two clocks (aware, and for durations) and how long a run may begin."""
        self._objects = objects
        self._bucket = bucket
        self._processed = Processed(objects, bucket)
        self._log = log
        self._now = now
        self._monotonic = monotonic
        self._budget_seconds = budget_seconds

    def run(self, task: Task) -> Report:
        """Compact one day after the other, oldest first, table by table.

        Raises ObjectStoreUnavailable; what was done until then is kept, and the next run goes on from there.
        """
        end = None if task.whole else self._monotonic() + self._budget_seconds
        found: list[DayReport] = []
        for table in task.tables:
            for day in self._days(table, task):
                report = self._plan(table, day) if task.dry_run else self._compact(table, day, end)
                if report.small_files or report.unreadable:
                    found.append(report)
        return Report(tuple(found), broken_off=self._is_over(end))

    def _days(self, table: str, task: Task) -> list[date]:
        now, days = self._now(), self._processed.days(table)
        if task.day is not None or task.whole:
            return [day for day in days if is_over(day, now) and task.day in (None, day)]
        return days_due(days, compacted=self._processed.compacted_days(table), now=now)

    def _is_over(self, end: float | None) -> bool:
        return end is not None and self._monotonic() >= end

    def _plan(self, table: str, day: date) -> DayReport:
        found = groups(self._processed.day(table, day))
        files = [file for group in found for file in group.files]
        before = sum(file.bytes for file in files)
        return DayReport(table, day, len(files), compacted_files=len(found), bytes_before=before)

    def _compact(self, table: str, day: date, end: float | None) -> DayReport:
        """Group by group until nothing is left or the time is up; what another compactor does meanwhile is seen."""
        report = DayReport(table, day)
        while not self._is_over(end):
            seen = self._processed.day(table, day)
            group = next_group(seen)
            if group is None:
                break
            manifest = self._write(seen, group)
            if self._publish(manifest):
                report = _sum(report, seen, manifest, group)
        return report

    def _write(self, day: Day, group: Group) -> Manifest:
        """Store the group's compacted file; the manifest that will name it."""
        unreadable: list[str] = []
        merged = merge(
            TABLES[day.table], self._parts(day, group, unreadable), deleted=group.operation is Operation.DELETED
        )
        covers = [file.key for file in group.files if file.key not in set(unreadable)]
        files = [self._store(day, group.operation, merged.body, merged.rows)] if covers else []
        return next_manifest(day, files=files, covers=covers, left=unreadable)

    def _parts(self, day: Day, group: Group, unreadable: list[str]) -> Iterator[tuple[Provenance, dict[str, Array]]]:
        """The rows of each small file in turn, one file in memory; those that cannot be read are told and passed over.

        A file of a former star contract is one of them: readers find its columns by name.
        """
        for file in group.files:
            try:
                yield file.origin, self._read(TABLES[day.table], file)
            except CorruptObject as exc:
                self._log.warning("left small", object=file.key, reason=str(exc))
                unreadable.append(file.key)

    def _read(self, table: type[StarRow], file: SmallFile) -> dict[str, Array]:
        body = self._body(file)
        return {table.key: read_keys(table, body)} if file.operation is Operation.DELETED else read(table, body)

    def _body(self, file: SmallFile) -> bytes:
        """The bytes that the file's name promises. Raises CorruptObject."""
        found = self._objects.find(self._bucket, file.key)
        if found is None or sha256(found.body)[:SHOWN_DIGEST] != file.digest:
            raise CorruptObject(f"Expected bytes with sha256 {file.digest}… in {self._bucket}/{file.key}: damaged.")
        return found.body

    def _store(self, day: Day, operation: Operation, body: bytes, rows: int) -> CompactedFile:
        digest = sha256(body)
        sequence = day.manifest.sequence + 1
        key = compacted_key(day.table, day.day, sequence=sequence, operation=operation, sha256=digest)
        self._objects.put_once(ObjectRef(bucket=self._bucket, key=key, sha256=digest, bytes=len(body), rows=rows), body)
        return CompactedFile(key=key, operation=operation, rows=rows, bytes=len(body), sha256=digest)

    def _publish(self, manifest: Manifest) -> bool:
        """Write the manifest; whether it was ours that came first."""
        try:
            self._objects.compare_and_set(self._bucket, manifest.key, manifest.model_dump_json().encode(), etag=None)
        except CheckpointConflict:
            self._log.info("another compactor was faster", manifest=manifest.key)
            return False
        self._log.info("compacted", table=manifest.table, day=f"{manifest.day}", manifest=manifest.key)
        return True


def _sum(report: DayReport, before: Day, after: Manifest, group: Group) -> DayReport:
    """The report with what one more manifest says."""
    made = after.files[len(before.manifest.files) :]
    left = len(after.left) - len(before.manifest.left)
    taken = set(after.covers)
    return replace(
        report,
        small_files=report.small_files + len(group.files) - left,
        compacted_files=report.compacted_files + len(made),
        rows=report.rows + sum(file.rows for file in made),
        bytes_before=report.bytes_before + sum(file.bytes for file in group.files if file.key in taken),
        bytes_after=report.bytes_after + sum(file.bytes for file in made),
        unreadable=report.unreadable + left,
    )
