"""What a parked message says of itself."""

from datetime import UTC, datetime

from shared import parking
from shared.consumer import Delivery
from shared.errors import CorruptObject

NOW = datetime(2026, 7, 1, 12, tzinfo=UTC)
REPLAYED = {parking.REPLAYS: "2", parking.REPLAY: "r-7", parking.FIRST_FAILED_AT: "2026-06-01T08:00:00+00:00"}


def test_a_message_parked_for_the_first_time_says_why_how_often_it_was_received_and_when():
    error = CorruptObject("The object is truncated.")

    carried = parking.attributes_of(error, Delivery("m-1", "h-1", 3, "{}"), NOW)

    assert carried == {
        "reason": "The object is truncated.",
        "reason_class": "corrupt_object",
        "receives": "3",
        "first_failed_at": "2026-07-01T12:00:00+00:00",
    }
    assert parking.cause_of(carried) == "corrupt_object"


def test_a_replayed_message_that_is_parked_again_keeps_its_first_failure_and_its_replays():
    delivery = Delivery("m-1", "h-1", 1, "{}", REPLAYED | {"reason": "an old one", "something": "else"})

    carried = parking.attributes_of(CorruptObject("Still truncated."), delivery, NOW)

    assert carried == REPLAYED | {"reason": "Still truncated.", "reason_class": "corrupt_object", "receives": "1"}


def test_a_message_without_a_reason_was_redriven_by_sqs_itself():
    assert parking.cause_of({}) == "receives_exhausted"
    assert parking.cause_of(REPLAYED) == "receives_exhausted"
