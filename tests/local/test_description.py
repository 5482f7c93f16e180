import os
from pathlib import Path

import pytest

from services.local.description import StackDescription, read_description
from services.local.processes import Process
from shared.errors import ConfigurationError


def described(root: Path, up: Process) -> StackDescription:
    return StackDescription(
        up=up,
        children=(),
        state_dir=root / "embedded",
        endpoint_url="http://127.0.0.1:1",
        region="eu-west-2",
        buckets={"archive": "totes-archive"},
        queues={"changes": "url"},
        dead_letter_queues={"changes": "dead"},
        source_dsn="postgresql://reader:secret@db/totesys",
        source_owner_dsn=None,
        warehouse_dsn="postgresql://loader@db/warehouse",
        warehouse_owner_dsn="postgresql://owner@db/warehouse",
        loader_role="loader",
        analyst_role=None,
        warehouse_schema="warehouse",
        time_zone="UTC",
    )


def me() -> Process:
    found = Process.of("totes up", os.getpid())
    assert found is not None
    return found


def test_another_terminal_reads_what_runs_and_nobody_else_may(tmp_path: Path):
    stack = described(tmp_path, me())

    stack.write(tmp_path)
    stack.write(tmp_path)

    assert read_description(tmp_path) == stack
    assert (tmp_path / "running.json").stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["running.json"]


def test_a_stack_that_was_killed_is_no_running_stack(tmp_path: Path):
    described(tmp_path, me().model_copy(update={"started": 1.0})).write(tmp_path)

    with pytest.raises(ConfigurationError, match="totes down"):
        read_description(tmp_path)


@pytest.mark.parametrize("content", [None, "{}", "not JSON"])
def test_no_running_stack_is_said_in_one_sentence(tmp_path: Path, content: str | None):
    if content is not None:
        (tmp_path / "running.json").write_text(content)

    with pytest.raises(ConfigurationError, match="Expected") as caught:
        read_description(tmp_path)

    assert "secret" not in str(caught.value)
