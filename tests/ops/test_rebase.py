"""An operator accepts another source: a new generation, whatever a poller does meanwhile."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.ops.cli import app
from services.ops.feeds import TRIES
from services.ops.rebase import rebase, rebased
from shared.checkpoint import Checkpoint, CheckpointStore, FeedState
from shared.errors import CheckpointConflict, PipelineError
from shared.objects import ObjectStore
from tests.conftest import Aws


def test_what_an_operator_paused_stays_paused() -> None:
    known = Checkpoint(paused=True, feeds={"design": FeedState(paused=True)})

    found = rebased(known)

    assert (found.paused, found.feed("design").paused, found.feed("staff").paused) == (True, True, False)


def test_a_rebased_checkpoint_knows_no_source_and_numbers_objects_on() -> None:
    known = Checkpoint(owner="a", generation=4, revision=9, feeds={"design": FeedState(page=7, rows_captured=70)})

    found = rebased(known)

    assert (found.generation, found.identity, found.owner, found.revision) == (5, None, "", 0)
    assert found.feed("design") == FeedState(page=7, rows_captured=70)


class Busy(CheckpointStore):
    """Somebody moves the checkpoint between each look and each move, so many times."""

    def __init__(self, *store: Any, times: int) -> None:
        super().__init__(*store)
        self._times = times

    def move(self, checkpoint: Checkpoint) -> None:
        if self._times:
            self._times -= 1
            raise CheckpointConflict("moved")
        super().move(checkpoint)


def test_a_poller_that_moves_the_checkpoint_meanwhile_only_costs_another_try(aws: Aws) -> None:
    assert rebase(Busy(ObjectStore(aws.s3), aws.control, times=TRIES - 1)) == 2
    with pytest.raises(PipelineError, match="try again"):
        rebase(Busy(ObjectStore(aws.s3), aws.control, times=TRIES))


def test_the_command_wants_to_hear_that_the_change_is_meant() -> None:
    answer = CliRunner().invoke(app, ["rebase"])

    assert (answer.exit_code, answer.stdout) == (2, "")
    assert answer.stderr.startswith("Expected --source-changed")


def test_without_a_stack_there_is_nothing_to_rebase(tmp_path: Path) -> None:
    answer = CliRunner().invoke(app, ["rebase", "--source-changed", "--state-dir", str(tmp_path)])

    assert answer.exit_code == 3
    assert answer.stderr.startswith("Expected a running stack")
