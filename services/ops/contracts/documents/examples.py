"""One message of each kind as it looks on a queue: built by the models themselves, so that each is one that validates.

Pure. Invariant: nothing in them comes from a clock or a real system.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

from pydantic_core import from_json

from contracts.feeds import FEEDS
from contracts.messages import (
    ROW_HASH,
    ChangeBatch,
    ChangeBatchData,
    CloudEvent,
    FeedBeat,
    Heartbeat,
    HeartbeatData,
    LoadBatch,
    LoadBatchData,
    ObjectRef,
    Operation,
    Origin,
    Position,
    archive_key,
)

Example = tuple[str, str, Mapping[str, Any]]
"""Name, what it shows, and the message."""
AS_OF = datetime(2026, 11, 24, 9, 30, 12, 345_678, UTC)
SINCE = AS_OF - timedelta(seconds=1)
FEED = FEEDS["sales_order"]
GENERATION, REVISION = 1, 4711
QUARANTINED = 1
PAGES = {Operation.CHANGED: 42, Operation.DELETED: 43}


def change_batch(operation: Operation, columns: Sequence[str]) -> ChangeBatch:
    """Sales orders of one snapshot."""
    at = Position(generation=GENERATION, revision=REVISION, contract=FEED.contract)
    page, digest = PAGES[operation], _digest(operation)
    key = archive_key(FEED.name, as_of=AS_OF, position=at, page=page, operation=operation, sha256=digest)
    return ChangeBatch.of(
        ChangeBatchData(
            feed=FEED.name,
            operation=operation,
            origin=Origin.POLL if operation is Operation.CHANGED else Origin.SCAN,
            position=at,
            page=page,
            since=SINCE,
            as_of=AS_OF,
            time_zone="Europe/London",
            object=ObjectRef(bucket="totes-archive", key=key, sha256=digest, bytes=1234, rows=17),
            columns=tuple(columns),
        )
    )


def load_batch(batch: ChangeBatch) -> LoadBatch:
    """The star rows of that change batch, one row of which broke its contract."""
    name, digest = batch.data.object.key.partition("/")[2].removesuffix(".tsv.gz"), _digest("star rows")
    key = f"fact_sales_order/{name}-{digest[:16]}.parquet"
    stored = {"bucket": "totes-processed", "key": key, "sha256": digest, "rows": batch.data.object.rows - QUARANTINED}
    return LoadBatch.of(
        LoadBatchData(
            **batch.data.model_dump(exclude={"object", "columns"}),
            object=batch.data.object.model_copy(update=stored),
            change_batch=batch.id,
            star_table="fact_sales_order",
            quarantined=QUARANTINED,
        )
    )


def heartbeat() -> Heartbeat:
    """What is complete by then."""
    beat = FeedBeat(feed=FEED.name, as_of=AS_OF, page=max(PAGES.values()) + 1)
    return Heartbeat.of(HeartbeatData(generation=GENERATION, revision=REVISION, as_of=AS_OF, feeds=(beat,)))


def _digest(content: str) -> str:
    return sha256(content.encode()).hexdigest()


def _shown(name: str, summary: str, message: CloudEvent) -> Example:
    return name, summary, from_json(message.body())


_CHANGED = change_batch(Operation.CHANGED, [*FEED.columns, ROW_HASH])
EXAMPLES: Mapping[str, Sequence[Example]] = {
    "change_batch": (
        _shown("changed", "Rows of sales_order that a poll found changed.", _CHANGED),
        _shown("deleted", "Keys of sales orders that a scan found gone.", change_batch(Operation.DELETED, [FEED.key])),
    ),
    "load_batch": (_shown("built", "Their star rows; one row was quarantined.", load_batch(_CHANGED)),),
    "heartbeat": (_shown("beat", "How far the poller has come, with one feed.", heartbeat()),),
}
"""Message contract -> its examples."""
