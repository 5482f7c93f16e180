"""The warehouse made again from the archive alone is the warehouse that was, row for row and version for version."""

from datetime import UTC, datetime, timedelta

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ArchiveKey
from services.ops.archived import Selection
from services.ops.rebuild import transactions
from shared.errors import ConfigurationError
from tests.conftest import Aws
from tests.ops.rebuild.conftest import Lived, Watcher
from tests.poller.archived import objects


def selection(*feeds: str, since: datetime | None = None, until: datetime | None = None) -> Selection:
    return Selection.of(feeds, since, until)


def clocks(aws: Aws, feed: str) -> list[datetime]:
    """Source clocks of a feed's snapshots, in their order."""
    return [found.as_of for key in sorted(objects(aws)) if (found := ArchiveKey.parse(key)) and found.feed == feed]


def test_a_dropped_warehouse_is_rebuilt_while_the_source_is_stopped(lived: Lived):
    before = lived.fingerprints()
    lived.drop()

    done = lived.rebuild()

    assert lived.fingerprints() == before
    assert {"fact_sales_order", "_seen_sales_order", "history_sales_order", "current_payment", "_feed"} <= set(before)
    assert (done.failures, done.quarantined) == (0, 1)
    assert done.rows == sum(row[0] for row in lived.pipeline.rows("SELECT rows FROM _load_batch"))
    assert done.versions == before["fact_sales_order"][0] + before["fact_payment"][0]


def test_a_second_schema_beside_the_live_one_is_its_equal_and_leaves_it_alone(lived: Lived):
    before = lived.fingerprints()

    lived.rebuild("beside", rows_a_transaction=1)

    assert lived.fingerprints("beside") == before
    assert lived.fingerprints() == before


def test_a_second_rebuild_finds_nothing_to_do(lived: Lived):
    first, second = (lived.rebuild("beside") for _ in range(2))

    assert first.batches > 0
    assert second.counts() == dict.fromkeys(second.counts(), 0)
    assert lived.missing("beside") == 0


def test_what_the_schema_lacks_is_filled(lived: Lived):
    before = lived.fingerprints()
    lived.pipeline.edit("DELETE FROM _load_batch WHERE feed = 'sales_order'; DELETE FROM _feed")
    lived.pipeline.edit("DELETE FROM fact_sales_order; DELETE FROM _unversioned_sales_order")

    lived.rebuild()

    found = lived.fingerprints()
    assert found.pop("_feed") != before.pop("_feed")  # of the other feeds nothing was told once more
    assert found == before


def test_a_range_of_one_feed_touches_nothing_else(lived: Lived):
    before = lived.fingerprints()
    early, *_, late = clocks(lived.pipeline.aws, "sales_order")

    done = lived.rebuild("beside", selection("sales_order", since=early + timedelta(microseconds=1), until=late))

    found = lived.fingerprints("beside")
    loaded = lived.pipeline.rows("SELECT feed, min(as_of), max(as_of) FROM beside._load_batch GROUP BY feed")
    assert [feed for feed, _, _ in loaded] == ["sales_order"]
    assert early < loaded[0][1] <= loaded[0][2] < late
    assert done.batches == found["_load_batch"][0] < before["_load_batch"][0]
    assert found["dim_design"][0] == len(lived.pipeline.rows("SELECT FROM beside.dim_design WHERE _generation = 0"))
    assert lived.fingerprints() == before


def test_ranges_that_meet_make_the_whole(lived: Lived):
    before = lived.fingerprints()
    middle = clocks(lived.pipeline.aws, "sales_order")[3]

    lived.rebuild("beside", selection(since=middle))
    lived.rebuild("beside", selection(until=middle))

    assert lived.fingerprints("beside") == before


def test_a_damaged_object_stops_no_other_and_is_named(lived: Lived):
    aws = lived.pipeline.aws
    damaged, orphan = sorted(key for key in objects(aws) if key.startswith("sales_order/"))[:2]
    whole = aws.s3.get_object(Bucket=aws.archive, Key=damaged)
    aws.s3.put_object(Bucket=aws.archive, Key=damaged, Body=whole["Body"].read()[:-9], Metadata=whole["Metadata"])
    aws.s3.put_object(Bucket=aws.archive, Key=orphan, Body=b"")

    done = lived.rebuild("beside")

    assert [one.key for one in done.failed] == [damaged, orphan]
    assert "bytes with sha256" in done.failed[0].reason
    assert "Expected an envelope" in done.failed[1].reason
    assert done.batches == lived.fingerprints()["_load_batch"][0] - 2


def test_a_batch_that_the_warehouse_refuses_costs_no_neighbour(lived: Lived):
    aws = lived.pipeline.aws
    key = min(key for key in objects(aws) if key.startswith("design/"))
    stored = aws.s3.get_object(Bucket=aws.archive, Key=key)
    envelope = stored["Metadata"]["envelope"].replace('"time_zone":"UTC"', '"time_zone":"Nowhere"')
    assert envelope != stored["Metadata"]["envelope"]
    metadata = {**stored["Metadata"], "envelope": envelope}
    aws.s3.put_object(Bucket=aws.archive, Key=key, Body=stored["Body"].read(), Metadata=metadata)

    done = lived.rebuild("beside")

    assert [(one.key, "time zone" in one.reason) for one in done.failed] == [(key, True)]
    assert done.batches == lived.fingerprints()["_load_batch"][0] - 1


def test_whoever_watches_is_told_of_every_batch(lived: Lived):
    lived.rebuild("beside", selection("currency"))
    missing, watcher = lived.missing("beside"), Watcher()

    done = lived.rebuild("beside", watcher=watcher)

    assert sum(batches for _, batches, _ in watcher.seen) == missing == done.batches
    assert sum(rows for _, _, rows in watcher.seen) == done.rows
    order = [feed for feed, _, _ in watcher.seen]
    assert order == sorted(order, key=list(FEEDS).index)


def test_an_unknown_feed_or_a_range_that_ends_before_it_begins_is_refused():
    with pytest.raises(ConfigurationError, match="found sale"):
        selection("sale")
    with pytest.raises(ConfigurationError, match="found department"):
        selection("department")
    with pytest.raises(ConfigurationError, match="--until after --since"):
        selection(since=datetime(2026, 1, 2, tzinfo=UTC), until=datetime(2026, 1, 1, tzinfo=UTC))


class Sized:
    """A batch of so many rows."""

    def __init__(self, rows: int) -> None:
        self.rows = rows


@pytest.mark.parametrize(
    ("rows", "groups"),
    [([], []), ([1, 1, 1, 1], [3, 1]), ([50, 1, 49, 1], [1, 2, 1]), ([200], [1])],
)
def test_a_transaction_ends_with_the_batch_that_fills_it(rows: list[int], groups: list[int]):
    found = transactions([Sized(each) for each in rows], rows=50, batches=3)  # type: ignore[list-item]

    assert [len(group) for group in found] == groups
