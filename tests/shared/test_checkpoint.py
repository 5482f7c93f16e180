"""The checkpoint moves by compare-and-set and survives newer writers."""

import json
from datetime import UTC, datetime

import pytest

from shared.checkpoint import KEY, Checkpoint, CheckpointStore, FeedState, Horizon, Read, SourceIdentity
from shared.errors import CheckpointConflict
from shared.objects import ObjectStore

NOW = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
HORIZON = Horizon(clock=NOW, xmax=2**40, xip=(2**40 - 2,), open={"3/17": NOW})
FULL = Checkpoint(
    owner="environment-1", generation=3, identity=SourceIdentity(system_identifier=2**63, database=5, timeline=1),
    stats_reset=NOW, revision=2**40, wal=2**50,
    feeds={
        "payment": FeedState(
            polled=HORIZON, reading=Read(base=None, first=HORIZON, after=7), relations=((16384, 16390),), page=9,
            as_of=NOW, stopped="a column is missing",
        )
    },
)  # fmt: skip


@pytest.fixture
def stores(aws):
    """Two pollers."""
    return [CheckpointStore(ObjectStore(aws.s3), aws.control) for _ in range(2)]


def test_where_there_is_none_it_is_empty(stores):
    checkpoint, age = stores[0].load_with_age()

    assert checkpoint == Checkpoint()
    assert age == float("inf")
    assert checkpoint.feed("payment") == FeedState()


def test_it_comes_back_as_it_was_moved(stores):
    stores[0].load()
    stores[0].move(FULL)

    found, age = stores[1].load_with_age()

    assert found == FULL
    assert 0 <= age < 60
    assert found.feed("payment").page == 9


def test_an_owner_moves_it_again_and_again(stores):
    stores[0].load()
    for revision in range(3):
        stores[0].move(FULL.model_copy(update={"revision": revision}))

    assert stores[1].load().revision == 2


@pytest.mark.parametrize("existing", [False, True])
def test_of_two_pollers_that_loaded_the_same_one_moves_it(stores, existing):
    mine, yours = stores
    if existing:
        mine.load()
        mine.move(Checkpoint())
    mine.load()
    yours.load()
    mine.move(FULL)

    for _ in range(2):
        with pytest.raises(CheckpointConflict):
            yours.move(Checkpoint(owner="environment-2"))

    assert yours.load() == FULL
    yours.move(Checkpoint(owner="environment-2"))
    with pytest.raises(CheckpointConflict):
        mine.move(FULL)


def test_what_a_newer_writer_added_is_ignored(stores, aws):
    written = json.loads(FULL.model_dump_json())
    written["shard"] = 1
    written["feeds"]["payment"]["shard"] = 1
    aws.s3.put_object(Bucket=aws.control, Key=KEY, Body=json.dumps(written).encode())

    assert stores[0].load() == FULL


def test_a_lost_checkpoint_is_a_conflict_and_then_empty(stores, aws):
    stores[0].load()
    stores[0].move(FULL)
    aws.s3.delete_object(Bucket=aws.control, Key=KEY)

    with pytest.raises(CheckpointConflict):
        stores[0].move(FULL)
    assert stores[0].load() == Checkpoint()
