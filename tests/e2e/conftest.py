"""What the tests on whole stacks share: a stack takes as long to start as most of them run."""

from collections.abc import Iterator

import pytest

from tests.e2e.stack import QUIET, Stack, running


@pytest.fixture(scope="package")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """One quiet stack for the tests that only change rows, one after the other; test_rebuild, the last, ends it."""
    with running(tmp_path_factory.mktemp("quiet"), *QUIET, "--orders", "200") as found:
        found.until_equal()
        yield found


LONGEST_FIRST = (
    "deployed",
    "walkthrough",
    "runbook",
    "fresh clone",
    "embedded",
    "silent",
    "incident",
    "real rows",
    "secrets",
)
"""Groups of `make e2e` by how long they take; what is in none of them is short."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest begins first, so that no worker comes to it when the others have ended."""
    items.sort(key=_begins)


def _begins(item: pytest.Item) -> tuple[int, str]:
    """By file within a group, whatever order the files are named in: what ends the quiet stack comes last."""
    mark = item.get_closest_marker("xdist_group")
    group = mark.args[0] if mark else None
    place = LONGEST_FIRST.index(group) if group in LONGEST_FIRST else len(LONGEST_FIRST)
    return place, str(item.path)
