"""The night that the docs record, played again: what is broken is seen, grouped, mended and proven to be whole."""

from pathlib import Path

import pytest

from tests.incident.night import BROKEN, ORDERS, play

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("incident")]


def test_a_night_of_four_troubles_ends_with_everything_loaded_and_nothing_left(tmp_path: Path) -> None:
    seen = play(tmp_path)

    said = "\n".join(shown.output for shown in seen.session)
    assert (seen.loaded_before, seen.loaded_after) == (ORDERS - BROKEN, ORDERS)
    assert seen.quarantined == BROKEN
    assert {cause for cause, _ in seen.causes} == {
        "less_than_equal",
        "decimal_max_digits",
        "rule",
        "corrupt_object",
        "malformed_message",
    }
    assert (seen.red, seen.green) == (1, 0), said
    assert (seen.replayed, seen.reconciled, seen.deep) == (0, 0, 0), said
    assert seen.left == 0, said
    assert seen.audited >= 2, said
    assert "Traceback" not in said
