"""A short soak: the whole stack killed piece by piece under load, and nothing lost or doubled."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import processes_of
from tests.soak.kills import STAGES
from tests.soak.soak import Options, Soak, faults

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("soak")]


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(prefix="soak") as folder:
        yield Path(folder)


# A server that is killed while the driver opens a session leaves the driver's socket to the garbage collector.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_nothing_is_lost_or_doubled_while_every_stage_is_killed(state_dir: Path):
    options = Options(
        state_dir=state_dir,
        minutes=0.6,
        seed=3,
        kills_per_minute=18,
        changes_per_second=30,
        duplicates_per_minute=60,
        writers=4,
        poll_interval_seconds=0.5,
    )

    report = Soak(options, print).run()

    print(report)
    assert faults(report) == 0, report["wrong"]
    assert all(report["kills"][stage]["kills"] for stage in STAGES)
    assert report["kills_that_held_something"] > 0
    assert report["versions_found"] == report["versions_expected"] > 0
    assert processes_of(state_dir) == []
