"""What `last_updated` hides arrives within one reconcile interval also without the scan, which brings it in seconds."""

from pathlib import Path

import pytest

from tests.e2e.silent import INTERVAL_SECONDS, expect_exact_histories
from tests.e2e.stack import running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("silent")]


def test_silent_updates_deletions_and_reinserts_arrive_by_the_reconciler_alone_and_the_history_is_exact(
    tmp_path: Path,
) -> None:
    (tmp_path / ".env").write_text("TOTES_SCAN_MAX_ROWS=0\nTOTES_MARGIN_SECONDS=0.001\n")
    arguments = ("--no-simulate", "--poll-interval", "0.25", "--reconcile-interval", f"{INTERVAL_SECONDS}")
    with running(tmp_path, *arguments, "--orders", "200") as stack:
        stack.until_equal()
        expect_exact_histories(stack)
