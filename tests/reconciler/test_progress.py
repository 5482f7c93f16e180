"""A pass over a feed goes on where the last run's time was over, and what it knows survives the run."""

import pytest

from services.reconciler.progress import REMEMBERED, FeedProgress, LastRun, Progress, ProgressStore
from shared.checkpoint import LEAST_KEY
from shared.errors import CheckpointConflict
from shared.objects import ObjectStore
from tests.conftest import Aws


def test_a_pass_goes_on_behind_the_last_key_and_begins_anew_when_it_is_complete():
    half = FeedProgress(live=9).covered(50, 4, deleted=1, held_back=False, complete=False)
    whole = half.covered(99, 3, deleted=0, held_back=False, complete=True)

    assert (half.after, half.live, half.live_so_far, half.deleted) == (50, 9, 4, 1)
    assert (whole.after, whole.live, whole.live_so_far, whole.deleted) == (LEAST_KEY, 7, 0, 0)


def test_deletions_count_on_into_the_next_pass_while_some_are_held_back():
    held = FeedProgress().covered(99, 80, deleted=16, held_back=True, complete=True)

    assert held.deleted == 16
    assert held.covered(99, 80, deleted=0, held_back=False, complete=True).deleted == 0


def test_only_the_latest_repairs_are_remembered():
    sent = dict.fromkeys(range(REMEMBERED + 5), "7 against nothing")

    kept = FeedProgress().remember(sent).sent

    assert (len(kept), min(kept)) == (REMEMBERED, 5)


def test_a_feed_that_moves_on_leaves_the_last_run_as_it_was():
    last = LastRun(
        at="2026-11-24T10:00:00Z", whole=False, feeds=10, skipped=("design",), drift=3, repaired=2, held_back=1
    )

    assert Progress(last=last).having("design", FeedProgress(after=7)).last == last


def test_what_was_kept_before_runs_were_counted_is_read():
    assert Progress.model_validate_json('{"feeds": {"design": {"after": 7}}}').last is None


def test_it_is_kept_beside_the_checkpoint_and_moves_by_compare_and_set(aws: Aws):
    first, second = (ProgressStore(ObjectStore(aws.s3), aws.control) for _ in range(2))
    assert first.load() == second.load() == Progress()
    moved = Progress().having("design", FeedProgress(after=7).remember({3: "x"}))

    first.move(moved)

    assert ProgressStore(ObjectStore(aws.s3), aws.control).load() == moved
    with pytest.raises(CheckpointConflict):
        second.move(moved)
