"""A `totes up` that cannot start, from another process's point of view; those that can are in tests/e2e."""

import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.command import left_of, totes

pytestmark = pytest.mark.slow


@pytest.fixture
def folder() -> Iterator[Path]:
    """One with a short path, because sockets lie in it."""
    with tempfile.TemporaryDirectory(prefix="totes-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_a_port_that_is_taken_is_one_sentence_and_leaves_nothing_running(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        result = totes("up", "--port", str(port), folder=folder)

    assert result.returncode == 2
    assert str(port) in result.stderr
    assert result.stderr.count("\n") == 1
    assert left_of(folder) == []
