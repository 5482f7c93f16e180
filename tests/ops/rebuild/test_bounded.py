"""A long archive is rebuilt in the memory of a short one."""

import resource
import time

import pytest

from contracts.messages import ENVELOPE
from services.loader.warehouse import Warehouse
from services.ops.archived import Archive, Selection
from services.ops.rebuild import Rebuilder, Rebuilt
from services.transform.transform import Workshop
from shared.objects import ObjectStore
from tests.attack.stores import Clock, MemoryS3
from tests.conftest import open_connection
from tests.ops.rebuild.conftest import Watcher
from tests.reconciler.conftest import SCHEMA
from tests.transform.archived import changed, row

pytestmark = pytest.mark.slow
ROWS = 1000
"""Of one object."""
MORE_BYTES = 48 * 2**20
"""What the objects in the store take beside, and what the allocator keeps."""


def fill(s3: MemoryS3, pages: range) -> None:
    for page in pages:
        orders = [row("sales_order", sales_order_id=str(page * ROWS + number)) for number in range(ROWS)]
        batch, body = changed("sales_order", orders, page=page, revision=page + 1)
        metadata = {ENVELOPE: batch.body(), "sha256": batch.data.object.sha256}
        s3.put_object(Bucket="archive", Key=batch.data.object.key, Body=body, Metadata=metadata)


def rebuild(s3: MemoryS3, dsn: str) -> tuple[Rebuilt, float]:
    """What was done, and the seconds it took."""
    objects, done = ObjectStore(s3), Rebuilt()
    warehouse = Warehouse(lambda: open_connection(dsn), SCHEMA)
    rebuilder = Rebuilder(
        Archive(objects, "archive"), Workshop(objects, "processed"), warehouse, rows_a_transaction=10 * ROWS
    )
    began = time.monotonic()
    rebuilder.run(Selection.of(("sales_order",), None, None), done, Watcher())
    warehouse.close()
    return done, time.monotonic() - began


def peak_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def test_a_hundred_objects_take_the_memory_of_twenty(warehouse_dsn: str):
    s3 = MemoryS3(Clock())
    fill(s3, range(20))
    rebuild(s3, warehouse_dsn)
    fill(s3, range(20, 120))
    before = peak_bytes()

    done, seconds = rebuild(s3, warehouse_dsn)

    print(f"{done.rows:,} rows in {seconds:.1f} s: {done.rows / seconds:,.0f} rows/s")
    assert (done.batches, done.rows) == (100, 100 * ROWS)
    assert peak_bytes() - before < MORE_BYTES
