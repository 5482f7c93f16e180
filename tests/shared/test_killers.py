"""A message that kills its function costs its neighbours a few receives, and nothing more."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.consumer import Consumer
from shared.queues import Queue
from shared.telemetry import logger

BATCH = 10
MOST_RECEIVES = 64
"""As in terraform/topology.yaml: one more, and SQS parks the message whatever it is."""
FEW_RECEIVES = 5
"""What an innocent message beside one killer is charged on average, at the most."""
MOST_DELIVERIES = 500
"""Far more than any example needs."""
LOG = logger("killers", "CRITICAL")


def drawn(seed):
    return Random(seed)  # noqa: S311 - to be repeated, not to be secret


class Killed(BaseException):
    """The process is gone."""


class Fleet:
    """A queue whose messages are received in any order, and functions that die at some of them."""

    def __init__(self, messages, killers, random):
        self.receives = dict.fromkeys(range(messages), 0)
        self.left = set(self.receives)
        self.killers = killers
        self.random = random
        self.done = set()
        queue = Queue(self, "queue")
        self.consumer = Consumer(self.handle, queue, queue, LOG, reserve_seconds=0, draw=random.random)

    def handle(self, received, in_time):
        """Half-way through what is tried together the killer comes, and nothing of it is done."""
        numbers = {int(one.body) for one in received}
        if numbers & self.killers:
            raise Killed
        self.done |= numbers
        return {}

    def delete_message(self, QueueUrl, ReceiptHandle):  # noqa: N803 - boto3's names
        self.left.discard(int(ReceiptHandle))

    def deliver(self):
        """One event of what is visible, in any order; a killed function's messages come back, Lambda deletes others."""
        picked = self.random.sample(sorted(self.left), min(BATCH, len(self.left)))
        for number in picked:
            self.receives[number] += 1
        try:
            answer = self.consumer.consume({"Records": [self.record(number) for number in picked]}, lambda: 60.0)
        except Killed:
            return
        assert answer == {"batchItemFailures": []}
        self.left -= set(picked)

    def drain(self):
        """Until only killers are left; in vain where innocent messages never pass."""
        for _ in range(MOST_DELIVERIES):
            if self.left <= self.killers:
                return
            self.deliver()

    def record(self, number):
        return {
            "messageId": f"m{number}",
            "receiptHandle": str(number),
            "body": str(number),
            "attributes": {"ApproximateReceiveCount": str(self.receives[number])},
        }

    def charged(self):
        """The receives of the innocent."""
        return [count for number, count in self.receives.items() if number not in self.killers]


@given(
    messages=st.integers(1, 40),
    killers=st.sets(st.integers(0, 39), min_size=1, max_size=3),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=200, deadline=None)
def test_whatever_the_order_all_innocent_messages_pass_and_only_killers_are_left(messages, killers, seed):
    fleet = Fleet(messages, killers & set(range(messages)), drawn(seed))

    fleet.drain()

    assert fleet.left == fleet.killers
    assert max(fleet.charged(), default=0) < MOST_RECEIVES


def test_a_killer_costs_the_messages_received_with_it_a_few_receives():
    charged = []
    for seed in range(100):
        fleet = Fleet(BATCH, {seed % BATCH}, drawn(seed))
        fleet.drain()
        charged += fleet.charged()

    assert min(charged) >= 2, "the killer was among the fresh ones"
    assert sum(charged) / len(charged) <= FEW_RECEIVES


def test_a_killer_that_was_received_less_often_does_not_stand_before_its_neighbours_for_ever():
    fleet = Fleet(BATCH, {3}, drawn(7))
    fleet.receives = {number: 1 if number == 3 else 20 for number in fleet.receives}

    fleet.drain()

    assert max(fleet.charged()) < MOST_RECEIVES


@given(receives=st.lists(st.integers(1, 9), min_size=1, max_size=BATCH), killer=st.integers(0, 9), seed=st.integers(0))
@settings(max_examples=200, deadline=None)
def test_at_a_kill_what_is_done_is_acknowledged_and_nothing_else(receives, killer, seed):
    fleet = Fleet(len(receives), {killer % len(receives)}, drawn(seed))
    fleet.receives.update(enumerate(receives))

    with pytest.raises(Killed):
        fleet.consumer.consume({"Records": [fleet.record(number) for number in fleet.receives]}, lambda: 60.0)

    assert set(fleet.receives) - fleet.left == fleet.done
