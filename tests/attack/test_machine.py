"""The state machine, short: `python -m tests.attack` runs it long."""

from collections import Counter

import pytest

from tests.attack.campaign import attack
from tests.attack.trial import Ground

pytestmark = pytest.mark.no_cover

EXAMPLES, STEPS = 60, 20
NUMBER = 1
"""One sequence of examples, so that a run fails by what changed since the last one; `make attack` draws anew."""


def test_whatever_happens_in_whatever_order_the_warehouse_ends_exactly_right(ground: Ground):
    counts: Counter[str] = Counter()

    attack(ground, counts, examples=EXAMPLES, steps=STEPS, number=NUMBER, shrink=False)

    assert counts["examples"] >= EXAMPLES
    assert counts["steps"] >= EXAMPLES * STEPS
