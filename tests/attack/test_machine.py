"""The state machine, short: `python -m tests.attack` runs it long."""

from collections import Counter

import pytest

from tests.attack.campaign import attack
from tests.attack.trial import Ground

pytestmark = pytest.mark.no_cover

EXAMPLES, STEPS = 60, 20


def test_whatever_happens_in_whatever_order_the_warehouse_ends_exactly_right(ground: Ground):
    counts: Counter[str] = Counter()

    attack(ground, counts, examples=EXAMPLES, steps=STEPS, shrink=False)

    assert counts["examples"] >= EXAMPLES
    assert counts["steps"] >= EXAMPLES * STEPS
