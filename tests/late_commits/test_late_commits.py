"""The experiment in little: every variant for a second, both readers' privileges, and the naive readers beside them."""

from collections.abc import Iterator

import pytest

from tests.late_commits.__main__ import HEADINGS, table
from tests.late_commits.experiment import run
from tests.late_commits.writers import DEFAULT_SECONDS, QUICK, TIGHT_SECONDS, VARIANTS
from tests.trouble.servers import SourceServer, new_server

pytestmark = pytest.mark.no_cover

SECONDS = 1.2
MARGINS = [DEFAULT_SECONDS, TIGHT_SECONDS]
"""The default hides in a run of a second what the look back does; the small one shows it."""


@pytest.fixture(scope="module")
def late_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SourceServer]:
    with new_server(tmp_path_factory.mktemp("late") / "data") as made:
        yield made


@pytest.mark.parametrize("name", [one.name for one in VARIANTS.values() if one.least_margin_seconds is not None])
def test_the_poll_alone_loses_no_row(late_server: SourceServer, name: str):
    variant = VARIANTS[name]
    margins = [margin for margin in MARGINS if margin >= variant.least_margin_seconds]

    verdicts = run(late_server, variant, lengths=QUICK, seconds=SECONDS, margins=margins)

    ours = [one for one in verdicts if one.promised]
    assert [(one.margin_seconds, one.stats) for one in ours] == [(m, s) for m in margins for s in (False, True)]
    assert all(one.rows > 20 for one in ours)
    assert [one.lost for one in ours] == [0] * len(ours)


def test_the_naive_readers_lose_rows_of_the_same_writers(late_server: SourceServer):
    verdicts = run(late_server, VARIANTS["plain"], lengths=QUICK, seconds=SECONDS, margins=[])

    assert [one.lost > 0 for one in verdicts] == [True, True]
    assert table(verdicts).splitlines()[0].split()[:3] == list(HEADINGS[:3])


def test_an_application_s_clock_further_behind_than_the_margin_is_left_to_the_scan(late_server: SourceServer):
    verdicts = run(late_server, VARIANTS["clock-far-behind"], lengths=QUICK, seconds=SECONDS, margins=[DEFAULT_SECONDS])

    assert [one.lost > 0 for one in verdicts if one.reader == "ours"] == [True, True]
    assert not any(one.broken for one in verdicts)
