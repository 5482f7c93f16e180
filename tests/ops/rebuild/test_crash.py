"""A rebuild that dies at any call, or loses any answer, and is run again: equal to the one that never failed."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest

from contracts.messages import ENVELOPE, ChangeBatch, stored_as
from services.loader.warehouse import Warehouse
from services.ops.archived import Archive, NoBooks, Selection
from services.ops.rebuild import Rebuilder, Rebuilt
from services.ops.replay_archive import Pace, Replayed, Replayer
from services.transform.transform import Workshop
from shared.errors import Unavailable
from shared.objects import ObjectStore
from shared.queues import Queue
from tests.attack.calls import Fault, Gate, GatedClient, Killed, Mode, Pool
from tests.attack.stores import Clock, MemoryS3, MemorySqs
from tests.conftest import open_connection
from tests.ops.rebuild.conftest import Watcher
from tests.ops.rebuild.fingerprint import Fingerprints, fingerprints
from tests.reconciler.conftest import LOADER, SCHEMA
from tests.transform.archived import NOW, changed, deleted, row

pytestmark = pytest.mark.no_cover

FEEDS = Selection.of(("design", "sales_order"), None, None)
EMPTY = ("fact_sales_order", "_unversioned_sales_order", "dim_staff", "dim_design", "dim_counterparty", "dim_location",
         "dim_currency", "dim_date", "_load_batch", "_feed", "_complete")  # fmt: skip


def batches() -> list[tuple[ChangeBatch, bytes]]:
    """A history in few batches: versions, one that comes back to what it was, a bad row, a deletion."""
    orders = [row("sales_order", sales_order_id=str(key), units_sold="5") for key in (1, 2)]
    bad = row("sales_order", sales_order_id="3", agreed_payment_date="soon")
    return [
        changed("design", [row("design", design_id="3")], page=1),
        changed("design", [row("design", design_id="4")], page=2, revision=6),
        changed("sales_order", [*orders, bad], page=1),
        changed("sales_order", [row("sales_order", sales_order_id="1", units_sold="6")], page=2, revision=6),
        changed("sales_order", orders, page=3, revision=7),
        deleted("sales_order", [2], page=4, revision=8),
    ]


class Ground:
    """A warehouse to be emptied again and again, and an archive that stays."""

    def __init__(self, dsn: str) -> None:
        self._owner = open_connection(dsn)
        self._loaders = Pool(lambda: open_connection(dsn.replace("postgres@", f"{LOADER}@")))
        self.s3 = MemoryS3(Clock())

    def empty(self) -> None:
        """The warehouse without a row, the processed bucket without an object."""
        self._owner.run(";".join(f"DELETE FROM {SCHEMA}.{table}" for table in EMPTY))
        self.s3 = MemoryS3(Clock())
        for batch, body in batches():
            self.archive(batch, body)

    def archive(self, batch: ChangeBatch, body: bytes) -> None:
        ref = batch.data.object
        metadata = {ENVELOPE: batch.body(), "sha256": ref.sha256}
        self.s3.put_object(Bucket="archive", Key=ref.key, Body=body, Metadata=metadata)

    def rows(self, sql: str) -> list[list[Any]]:
        self._owner.run(f"SET search_path TO {SCHEMA}")
        return self._owner.run(sql) or []

    def rebuild(self, gate: Gate) -> Rebuilt:
        objects = ObjectStore(GatedClient(self.s3, gate))
        warehouse = Warehouse(lambda: gate.connection(self._loaders), SCHEMA, sleep=lambda _: None)
        rebuilder = Rebuilder(
            Archive(objects, "archive"), Workshop(objects, "processed"), warehouse, batches_a_transaction=2
        )
        done = Rebuilt()
        rebuilder.run(FEEDS, done, Watcher())
        warehouse.close()
        return done

    def left(self) -> tuple[Fingerprints, list[str]]:
        """What the warehouse and the processed bucket hold."""
        return fingerprints(self._owner, SCHEMA), self.s3.keys("processed")

    def close(self) -> None:
        self._owner.close()
        self._loaders.close()


@pytest.fixture
def ground(warehouse_dsn: str) -> Iterator[Ground]:
    made = Ground(warehouse_dsn)
    made.empty()
    yield made
    made.close()


def struck(run: Callable[[Gate], Any], fault: Fault) -> bool:
    """Run into a fault; whether there were so many calls."""
    gate = Gate()
    gate.arm(fault)
    with suppress(Killed, Unavailable):
        run(gate)
    gate.bury()
    return gate.struck


WAYS = [(Mode.KILLED, True), (Mode.LOST, False), (Mode.LOST, True)]
"""Killed before a call is killed after the one before it."""
EVERY = 1 if os.environ.get("TOTES_ATTACK") == "full" else len(WAYS)
"""Each call fails in all ways, or, to be quick, in one of them in turn."""


@pytest.mark.parametrize("way", range(len(WAYS)), ids=["killed", "lost unheard", "lost after it took effect"])
def test_a_rebuild_that_fails_at_any_call_and_is_run_again_equals_the_one_that_never_failed(ground: Ground, way: int):
    counted = Gate()
    never_failed = ground.rebuild(counted)
    expected = ground.left()
    assert expected[0]["fact_sales_order"][0] == 4
    assert never_failed.counts() == {"batches": 6, "rows": 8, "versions": 4, "quarantined": 1, "failures": 0}

    for call in range(1 + way % EVERY, counted.count + 1, EVERY):
        ground.empty()
        assert struck(ground.rebuild, Fault(call, *WAYS[way])), call

        assert ground.rebuild(Gate()).failures == 0

        assert ground.left() == expected, call
    assert ground.rebuild(Gate()).batches == 0


def test_a_snapshot_that_two_readers_archived_is_of_the_earlier_clock_whichever_was_loaded_first(ground: Ground):
    batch, body = changed("sales_order", [row("sales_order", sales_order_id="9")], page=9, revision=9)
    ground.archive(batch, body)
    ground.rebuild(Gate())
    earlier = NOW - timedelta(seconds=1)
    key = stored_as(batch.id, earlier, batch.data.operation)
    ref = batch.data.object.model_copy(update={"key": key})
    twin = ChangeBatch.of(batch.data.model_copy(update={"as_of": earlier, "object": ref}))
    ground.archive(twin, body)
    assert (twin.id, twin.data.object.key == batch.data.object.key) == (batch.id, False)

    ground.rebuild(Gate())

    assert ground.rows("SELECT seen_at FROM _seen_sales_order WHERE key = 9") == [[earlier]]


def test_an_archive_replayed_into_a_failure_at_any_call_loses_no_batch_when_it_is_run_again(ground: Ground):
    everything = {batch.body() for batch, _ in batches()}
    counted = Gate()
    replay(ground, MemorySqs(Clock()), counted)

    for mode in Mode:
        for call in range(1, counted.count + 1):
            sqs = MemorySqs(Clock())
            assert struck(lambda gate, sqs=sqs: replay(ground, sqs, gate), Fault(call, mode, after=True)), call

            done = replay(ground, sqs, Gate())

            assert {one.body for one in sqs.messages("changes")} == everything
            assert (done.batches, done.failures) == (6, 0)


def replay(ground: Ground, sqs: MemorySqs, gate: Gate) -> Replayed:
    sqs.create_queue(QueueName="changes")
    archive = Archive(ObjectStore(GatedClient(ground.s3, gate)), "archive")
    done, clock = Replayed(), Clock()
    pace = Pace(None, clock.now, clock.sleep)
    Replayer(archive, NoBooks(), Queue(GatedClient(sqs, gate), "changes"), pace).run(FEEDS, None, done, Watcher())
    return done
