"""The whole stack: started, filled, drained, killed, started again. The services it runs are the real ones."""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from services.local.description import read_description
from services.local.down import bring_down
from services.local.lock import UpLock
from services.local.settings import CommandSettings
from services.local.stack import Stack, StackOptions, chosen_settings
from services.ops.feeds import pause
from services.ops.running import checkpoints_of
from shared.errors import ConfigurationError, PipelineError
from tests.conftest import Source, open_connection
from tests.local.conftest import nothing_left, processes_under

UP = """
import sys, time
from pathlib import Path
from services.local.stack import Stack, StackOptions
options = StackOptions(Path(sys.argv[1]), None, None, "warehouse", "UTC", 0.2, 300.0, None)
stack = Stack(options, lambda _: None)
stack.start()
print("ready", flush=True)
time.sleep(600)
"""


def options_in(folder: Path) -> StackOptions:
    return StackOptions(folder, None, None, "warehouse", "UTC", 0.2, 300.0, None)


def silent(_: str) -> None:
    """Nobody is told."""


@pytest.fixture
def state_dir() -> Iterator[Path]:
    """A folder with a path short enough for sockets; whatever a failed test left running in it is ended."""
    with tempfile.TemporaryDirectory(prefix="totes") as folder:
        yield Path(folder)
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if any(folder in word for word in process.cmdline()):
                    process.kill()


def rows(dsn: str, statement: str) -> list[list[Any]]:
    with open_connection(dsn) as session:
        return session.run(statement) or []


def drained(stack: Stack) -> None:
    """Until all that the poller has captured is loaded."""
    assert stack.drain(60)


def capture(stack: Stack, star_table: str, expected: int) -> list[list[Any]]:
    """The star table's rows once there are so many; pg_sleep paces the look, the suite's time-out ends it."""
    statement = f"SELECT * FROM warehouse.{star_table} ORDER BY 1"
    with open_connection(stack.description.warehouse_dsn) as session:
        for _ in range(600):
            found = session.run(statement)
            if len(found) >= expected:
                return list(found)
            session.run("SELECT pg_sleep(0.1)")
    raise AssertionError(f"{star_table} did not get {expected} rows")


def test_each_pair_of_databases_and_each_schema_has_a_state_of_its_own(tmp_path: Path):
    usual = options_in(tmp_path)
    others = [
        replace(usual, warehouse_schema="team_7"),
        replace(usual, source_dsn="postgresql://a@db1/totesys"),
        replace(usual, warehouse_dsn="postgresql://a@db1/totesys"),
        replace(usual, source_dsn="postgresql://a@db1/totesys", warehouse_dsn="postgresql://a@db2/warehouse"),
    ]

    assert usual.folder == tmp_path / "embedded"
    assert len({usual.folder, *(each.folder for each in others)}) == 5
    rotated = replace(usual, source_dsn="postgresql://a:new@db1/totesys")
    assert rotated.folder == others[1].folder


@pytest.mark.parametrize("seconds", [0.5, 59.0, 90.0])
def test_an_interval_that_cannot_be_scheduled_is_refused_before_anything_starts(tmp_path: Path, seconds: float):
    with pytest.raises(ConfigurationError, match="whole minutes"):
        Stack(replace(options_in(tmp_path / "new"), reconcile_interval_seconds=seconds), silent)

    assert not (tmp_path / "new").exists()


def test_only_what_somebody_set_is_passed_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOTES_PAGE_ROWS", "77")

    assert chosen_settings(CommandSettings()) == {"page_rows": "77"}


def test_a_second_up_is_refused_while_one_runs_and_stopping_it_harms_nobody(state_dir: Path):
    lock = UpLock(state_dir)
    assert lock.acquire()

    with Stack(options_in(state_dir), silent) as stack, pytest.raises(ConfigurationError, match="Another `totes up`"):
        stack.start()

    assert not UpLock(state_dir).acquire()
    lock.release()
    with pytest.raises(PipelineError, match="not running"):
        _ = stack.description


def test_a_state_folder_that_cannot_be_made_is_said_in_one_sentence(tmp_path: Path):
    (tmp_path / "file").write_text("")

    with (
        Stack(options_in(tmp_path / "file" / "state"), silent) as stack,
        pytest.raises(ConfigurationError, match="allowed to write"),
    ):
        stack.start()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_state_folder_without_permission_is_said_in_one_sentence(tmp_path: Path):
    tmp_path.chmod(0o500)

    with (
        Stack(options_in(tmp_path / "state"), silent) as stack,
        pytest.raises(ConfigurationError, match="allowed to write"),
    ):
        stack.start()


def test_there_is_nothing_to_bring_down_where_nothing_ran(tmp_path: Path):
    assert bring_down(tmp_path / "nowhere") == []
    assert bring_down(tmp_path) == []


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a small tmpfs; skipped where that is not allowed."""
    mounted = []

    def mount(size: str) -> Path:
        folder = tmp_path / "small"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    yield mount
    for folder in mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_disk_without_room_for_a_stack_is_said_in_one_sentence(full_disk: Callable[[str], Path]):
    folder = full_disk("16m")

    with (
        Stack(options_in(folder), silent) as stack,
        pytest.raises(ConfigurationError, match=r"256 MiB .* found 1. MiB"),
    ):
        stack.start()

    assert nothing_left(folder)


def test_a_disk_that_fills_while_the_databases_are_made_is_said_in_one_sentence(
    full_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("services.local.stack.NEEDED_BYTES", 0)
    folder = full_disk("24m")

    with Stack(options_in(folder), silent) as stack, pytest.raises(ConfigurationError, match="No space left on device"):
        stack.start()

    assert nothing_left(folder)


@pytest.mark.slow
def test_a_row_reaches_the_warehouse_and_a_second_start_goes_on_with_the_state(state_dir: Path):
    with Stack(options_in(state_dir), silent) as stack:
        stack.start()
        assert read_description(state_dir) == stack.description
        owner = stack.description.source_owner_dsn
        assert owner is not None
        rows(owner, "INSERT INTO currency (currency_code) VALUES ('GBP')")
        assert capture(stack, "dim_currency", 1)[0][:2] == [1, "GBP"]
        pause(checkpoints_of(stack.description), "payment")
        assert not stack.drain(0)
        drained(stack)
        assert checkpoints_of(stack.description).load().draining
    assert processes_under(state_dir) == []
    assert not (state_dir / "running.json").exists()

    with Stack(options_in(state_dir), silent) as stack:
        stack.start()
        rows(owner, "INSERT INTO currency (currency_code) VALUES ('EUR')")
        assert [row[1] for row in capture(stack, "dim_currency", 2)] == ["GBP", "EUR"]
        kept = checkpoints_of(stack.description).load()
        assert (kept.draining, kept.feed("payment").paused, kept.feed("currency").paused) == (False, True, False)
        drained(stack)
    assert nothing_left(state_dir)


@pytest.mark.slow
def test_nothing_outlives_a_killed_up_and_the_next_one_loads_what_its_queues_lost(state_dir: Path):
    with subprocess.Popen([sys.executable, "-c", UP, str(state_dir)], stdout=subprocess.PIPE) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"ready\n"
        description = read_description(state_dir)
        assert description.source_owner_dsn is not None
        # The functions that drain the queues are taken away, so that the batch is lost with them.
        lambdas = description.client("lambda")
        for mapping in lambdas.list_event_source_mappings()["EventSourceMappings"]:
            lambdas.delete_event_source_mapping(UUID=mapping["UUID"])
        rows(description.source_owner_dsn, "INSERT INTO currency (currency_code) VALUES ('GBP')")
        sqs, url = description.client("sqs"), description.queues["changes"]
        waiting: dict[str, str] = {}
        while waiting.get("ApproximateNumberOfMessages", "0") == "0":
            waiting = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        emulator = next(child for child in description.children if child.name == "aws")
        os.kill(emulator.pid, signal.SIGKILL)
        killed.kill()
    assert nothing_left(state_dir)

    told: list[str] = []
    with Stack(options_in(state_dir), told.append) as stack:
        stack.start()
        assert capture(stack, "dim_currency", 1)[0][:2] == [1, "GBP"]
        drained(stack)
    assert any("again" in sentence for sentence in told)
    assert nothing_left(state_dir)


@pytest.mark.slow
def test_down_ends_a_running_up_and_what_a_killed_watchdog_could_not(state_dir: Path):
    with subprocess.Popen([sys.executable, "-c", UP, str(state_dir)], stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        up.stdout.readline()
        for process in psutil.Process(up.pid).children():
            if "services.local.watchdog" in process.cmdline():
                process.kill()
        up.kill()
    with pytest.raises(ConfigurationError, match="totes down"):
        read_description(state_dir)

    ended = bring_down(state_dir)

    assert [sentence.split()[0] for sentence in ended] == ["the", "PostgreSQL", "PostgreSQL"]
    assert nothing_left(state_dir)
    assert bring_down(state_dir) == []

    with subprocess.Popen([sys.executable, "-c", UP, str(state_dir)], stdout=subprocess.PIPE) as up:
        assert up.stdout is not None
        up.stdout.readline()
        assert bring_down(state_dir)[0] == f"totes up (process {up.pid})"
    assert nothing_left(state_dir)


@pytest.mark.slow
def test_named_databases_are_used_as_they_are_and_a_start_that_fails_leaves_nothing(
    state_dir: Path, totesys: Source, new_database: Callable[[str], str]
):
    given = replace(options_in(state_dir), source_dsn=totesys.reader_dsn, warehouse_dsn=new_database("warehouse"))
    with Stack(given, silent) as stack:
        stack.start()
        assert stack.description.source_owner_dsn is None
        assert [child.name for child in stack.description.children] == ["aws"]
        rows(totesys.dsn, "INSERT INTO currency (currency_code) VALUES ('GBP')")
        assert capture(stack, "dim_currency", 1)[0][:2] == [1, "GBP"]

    gone = replace(given, warehouse_dsn=f"{given.warehouse_dsn}".replace("/warehouse_", "/no_such_"))
    with Stack(gone, silent) as stack, pytest.raises(PipelineError, match="no_such_"):
        stack.start()
    assert nothing_left(state_dir)
