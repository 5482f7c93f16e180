"""Decide which days are looked at and which small files go into the next compacted one. Pure: no clock, no bucket.

Invariant: only days that are over are compacted, and a small file is taken once at most. The same day seen again gives
the same next group, so a run that died writes the same file again.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from contracts.messages import Operation
from shared.processed import CompactedFile, Day, Manifest, SmallFile

SETTLING = timedelta(hours=1)
"""After midnight UTC, before a day counts as over: an ordinary file arrives within seconds of its clock."""
LATE = timedelta(days=18)
"""How long a compacted day is still looked at by itself for late files: a message may wait 4 days and be parked for 14.
Later ones are read as the small files they are, until somebody compacts their day by hand."""
MAX_GROUP_BYTES = 24 * 2**20
"""Of small files, and so about of the file they make: it is held in memory whole, and a function has 256 MiB."""
MAX_GROUP_FILES = 10_000
"""At the 20 to 30 ms that S3 takes for each, five minutes: a group must end within its invocation."""


@dataclass(frozen=True)
class Group:
    """Small files of one kind that become one compacted file."""

    operation: Operation
    files: tuple[SmallFile, ...]


def is_over(day: date, now: datetime) -> bool:
    """Whether no ordinary file of that day (UTC) is still to come."""
    return now >= datetime.combine(day + timedelta(days=1), time(), UTC) + SETTLING


def days_due(days: Iterable[date], *, compacted: Collection[date], now: datetime) -> list[date]:
    """The days a scheduled run looks at: those that are over and were never compacted, or may have late files."""
    oldest = (now - LATE).date()
    return [day for day in days if is_over(day, now) and (day not in compacted or day >= oldest)]


def next_group(day: Day) -> Group | None:
    """The files that the day's next compacted file is made from, in the order of their names; None if nothing is left.

    Changed rows first, then deletions: no file holds both.
    """
    left = set(day.manifest.left)
    todo = [file for file in day.uncovered if file.key not in left]
    for operation in Operation:
        files = [file for file in todo if file.operation is operation]
        if files:
            return Group(operation, tuple(files[: _fitting(files)]))
    return None


def _fitting(files: Sequence[SmallFile]) -> int:
    """How many files fit in one group: one at least."""
    together = 0
    for count, file in enumerate(files[:MAX_GROUP_FILES]):
        together += file.bytes
        if together > MAX_GROUP_BYTES and count:
            return count
    return min(len(files), MAX_GROUP_FILES)


def groups(day: Day) -> list[Group]:
    """All groups of a day as they would be made one after the other, if every file can be read."""
    found = []
    while (group := next_group(day)) is not None:
        found.append(group)
        day = _as_if_done(day, group)
    return found


def _as_if_done(day: Day, group: Group) -> Day:
    taken = {file.key for file in group.files}
    return Day(day.table, day.day, day.manifest, tuple(file for file in day.uncovered if file.key not in taken))


def next_manifest(day: Day, *, files: Sequence[CompactedFile], covers: Sequence[str], left: Sequence[str]) -> Manifest:
    """The newest manifest with what one more group came to."""
    last = day.manifest
    return Manifest(
        table=day.table,
        day=day.day,
        sequence=last.sequence + 1,
        files=(*last.files, *files),
        covers=(*last.covers, *covers),
        left=(*last.left, *left),
    )
