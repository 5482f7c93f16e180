"""The age of what waits, derived from names of objects alone."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from contracts.messages import (
    ChangeBatchData,
    ObjectRef,
    Operation,
    Origin,
    Position,
    archive_key,
    batch_id,
)
from services.ops.backlog import Archived, Oldest, archived, begin_listing, oldest, stem

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


def batch(number: int, feed: str = "payment") -> Archived:
    return Archived(f"{feed}/{number}", f"date=2026-03-02/{number}", NOON + timedelta(seconds=number))


@settings(max_examples=50)
@given(
    feed=st.sampled_from(sorted(FEEDS)),
    as_of=st.datetimes(timezones=st.just(UTC), min_value=NOON.replace(tzinfo=None)),
    position=st.builds(Position, generation=st.integers(1, 99), revision=st.integers(0, 2**40), contract=st.just(1)),
    page=st.integers(0, 10**11),
    operation=st.sampled_from(Operation),
    digest=st.text("0123456789abcdef", min_size=64, max_size=64),
)
def test_a_key_that_the_poller_writes_names_its_batch_and_its_snapshot(
    feed: str, as_of: datetime, position: Position, page: int, operation: Operation, digest: str
) -> None:
    key = archive_key(feed, as_of=as_of, position=position, page=page, operation=operation, sha256=digest)
    data = ChangeBatchData(
        feed=feed,
        operation=operation,
        origin=Origin.POLL,
        position=position,
        page=page,
        since=None,
        as_of=as_of,
        time_zone="UTC",
        object=ObjectRef(bucket="archive", key=key, sha256=digest, bytes=1, rows=1),
        columns=(),
    )

    [found] = archived([key])

    assert (found.batch, found.as_of) == (batch_id(data), as_of)
    assert begin_listing(feed, as_of) < key
    assert begin_listing(feed, as_of + timedelta(seconds=1)) > key


def test_an_object_and_its_parquet_share_their_stem() -> None:
    name = "date=2026-03-02/120000.000000Z-p0000000001-g1-r7-v1-changed-0123456789abcdef"

    assert stem(f"payment/{name}.tsv.gz") == stem(f"fact_payment/{name}-0123456789abcdef.parquet") == name


def test_a_key_of_another_shape_is_nobodys_batch() -> None:
    assert archived(["payment/readme.txt", "payment/date=2026-03-02/notes.tsv.gz"]) == []


def test_archived_and_not_built_waits_on_changes_built_and_not_loaded_waits_on_loads() -> None:
    batches = [batch(1), batch(2), batch(3), batch(4)]

    found = oldest(batches, built={batch(1).stem, batch(3).stem}, loaded={batch(1).batch})

    assert found == Oldest(changes=batch(2).as_of, loads=batch(3).as_of)


def test_nothing_waits_where_everything_is_loaded() -> None:
    assert oldest([batch(1)], built={batch(1).stem}, loaded={batch(1).batch}) == Oldest(None, None)
