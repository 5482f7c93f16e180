"""How old the oldest waiting batch is. Pure: names of objects in, times out.

SQS tells nobody the age of its oldest message without receiving it (on AWS CloudWatch does, the emulator does not),
so the age is derived: a change batch is an archive object, its load batch a Parquet object with the same stem, and a
loaded one is in the warehouse's books. Archived, not built: it waits on `changes`. Built, not loaded: on `loads`. The
age runs from the source clock of the batch's snapshot, so it is a little more than the message's own.
Limit: a parked batch counts as waiting for as long as its queue holds anything else.
"""

from collections.abc import Iterable, Set
from dataclasses import dataclass
from datetime import datetime

from contracts.messages import ArchiveKey


@dataclass(frozen=True)
class Archived:
    """One archived change batch: its id, the key's stem that its Parquet shares, and its snapshot's source clock."""

    batch: str
    stem: str
    as_of: datetime


@dataclass(frozen=True)
class Oldest:
    """Source clocks of the oldest batch that waits on each queue, None where none does."""

    changes: datetime | None = None
    loads: datetime | None = None


def archived(keys: Iterable[str]) -> list[Archived]:
    """The batches that archive keys name; a key of another shape is nobody's batch and left out."""
    return [Archived(found.batch, stem(key), found.as_of) for key in keys if (found := ArchiveKey.parse(key))]


def stem(key: str) -> str:
    """What the objects of one batch share in both buckets; a processed one adds its own digest behind a dash."""
    name = key.split("/", 1)[1]
    return name.removesuffix(".tsv.gz") if name.endswith(".tsv.gz") else name.rpartition("-")[0]


def begin_listing(folder: str, since: datetime) -> str:
    """A key just before the folder's first object of `since` (UTC): where a listing begins."""
    return f"{folder}/date={since:%Y-%m-%d}/{since:%H%M%S}"


def oldest(batches: Iterable[Archived], *, built: Set[str], loaded: Set[str]) -> Oldest:
    """The oldest waiting batch of each queue, from stems that are built and ids that are loaded."""
    waiting = [batch for batch in batches if batch.batch not in loaded]
    return Oldest(
        changes=min((batch.as_of for batch in waiting if batch.stem not in built), default=None),
        loads=min((batch.as_of for batch in waiting if batch.stem in built), default=None),
    )
