"""What a killed emulator has lost is sent again: once per batch that is neither loaded nor parked."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from contracts.messages import (
    ENVELOPE,
    ChangeBatch,
    ChangeBatchData,
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
from services.loader.migrate import migrate
from services.local.recover import Recovery, peek
from shared.objects import ObjectStore, sha256
from shared.postgres import Connection
from shared.queues import Queue
from tests.conftest import Aws, open_connection

AT = datetime(2026, 8, 3, 10, 0, 0, 250_000, tzinfo=UTC)
BOOKED = """INSERT INTO _load_batch (id, change_batch, feed, star_table, operation, origin, generation, revision,
contract, page, since, as_of, rows, quarantined, object_key, loaded_at)
VALUES ('x', :batch, 'currency', 'dim_currency', 'changed', 'poll', 1, 1, 1, 1, now(), now(), 1, 0, 'k', now())"""


@pytest.fixture
def warehouse(new_database: Callable[[str], str]) -> Iterator[Connection]:
    dsn = new_database("warehouse")
    migrate(dsn, "warehouse", loader_role=None, analyst_role=None)
    with open_connection(dsn) as session:
        session.run("SET search_path = warehouse")
        yield session


@pytest.fixture
def recovery(aws: Aws, warehouse: Connection) -> Recovery:
    return Recovery(
        objects=ObjectStore(aws.s3),
        archive=aws.archive,
        changes=Queue(aws.sqs, aws.changes),
        warehouse=warehouse,
        dead_letters=(Queue(aws.sqs, aws.changes_dlq), Queue(aws.sqs, aws.loads_dlq)),
    )


def archive(aws: Aws, feed: str, page: int) -> ChangeBatch:
    """Store a batch as the poller does."""
    body, position = f"{feed}{page}".encode(), Position(generation=1, revision=40 + page, contract=1)
    digest = sha256(body)
    key = archive_key(feed, as_of=AT, position=position, page=page, operation=Operation.CHANGED, sha256=digest)
    ref = ObjectRef(bucket=aws.archive, key=key, sha256=digest, bytes=len(body), rows=1)
    data = ChangeBatchData(
        feed=feed,
        operation=Operation.CHANGED,
        origin=Origin.POLL,
        position=position,
        page=page,
        since=AT,
        as_of=AT,
        time_zone="UTC",
        object=ref,
        columns=("a",),
    )
    batch = ChangeBatch.of(data)
    ObjectStore(aws.s3).put_once(ref, body, {ENVELOPE: batch.body()})
    return batch


def load_batch(batch: ChangeBatch) -> LoadBatch:
    shared = batch.data.model_dump(exclude={"columns"})
    return LoadBatch.of(LoadBatchData(**shared, change_batch=batch.id, star_table="dim_currency", quarantined=0))


def sent(aws: Aws) -> list[str]:
    return sorted(ChangeBatch.model_validate_json(body).id for body in peek(Queue(aws.sqs, aws.changes)))


def test_a_batch_that_is_archived_and_not_loaded_is_sent_again_as_it_was(aws: Aws, recovery: Recovery):
    lost, loaded = archive(aws, "currency", 0), archive(aws, "currency", 10)
    recovery.warehouse.run(BOOKED, batch=loaded.id)

    assert recovery.republish() == 1

    assert peek(Queue(aws.sqs, aws.changes)) == [lost.body()]


def test_parked_batches_stay_parked_and_are_not_sent_again(aws: Aws, recovery: Recovery):
    parked = [archive(aws, "currency", page) for page in range(12)]
    late, lost = archive(aws, "payment", 1), archive(aws, "payment", 2)
    Queue(aws.sqs, aws.changes_dlq).send([*(batch.body() for batch in parked), "not a message of ours"])
    Queue(aws.sqs, aws.loads_dlq).send([load_batch(late).body()])

    assert recovery.republish() == 1

    assert sent(aws) == [lost.id]
    assert Queue(aws.sqs, aws.changes_dlq).depth().visible == 13
    assert Queue(aws.sqs, aws.loads_dlq).depth().visible == 1


def test_a_heartbeat_in_a_queue_or_among_the_dead_letters_is_nobody_s_batch(aws: Aws, recovery: Recovery):
    lost = archive(aws, "currency", 0)
    beat = Heartbeat.of(HeartbeatData(generation=1, revision=1, as_of=AT, feeds=())).body()
    for url in (aws.changes, aws.changes_dlq, aws.loads_dlq):
        Queue(aws.sqs, url).send([beat])

    assert recovery.republish() == 1

    assert sorted(peek(Queue(aws.sqs, aws.changes))) == sorted([lost.body(), beat])


def test_a_feed_without_a_star_table_and_a_foreign_object_are_left_alone(aws: Aws, recovery: Recovery):
    archive(aws, "department", 0)
    aws.s3.put_object(Bucket=aws.archive, Key="payment/readme.txt", Body=b"")
    batch = archive(aws, "payment", 0)
    aws.s3.put_object(Bucket=aws.archive, Key=batch.data.object.key, Body=b"", Metadata={})

    assert recovery.republish() == 0

    assert sent(aws) == []


def test_a_second_recovery_sends_the_same_batches_and_no_other(aws: Aws, recovery: Recovery):
    lost = [archive(aws, feed, page).id for feed in ("payment", "payment_type") for page in range(2)]

    assert (recovery.republish(), recovery.republish()) == (4, 4)

    assert sent(aws) == sorted(lost * 2)
