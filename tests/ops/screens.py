"""The live view as tests look at it: a few pipelines, and the text of their pictures.

`python -m tests.ops.screens` writes the pictures beside this module anew; look at the difference before you keep it.
"""

import io
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from rich.console import Console

from contracts.feeds import FEEDS
from contracts.messages import Origin
from services.ops.flow import Arrival, Flow, Fresh, Minute, What
from services.ops.rates import Rate
from services.ops.screen import View, screen
from services.ops.status import Freshness, HeartbeatStatus
from services.ops.view import Moment
from tests.ops.fakes import NOW, feed_status, status_of

FOLDER = Path(__file__).with_name("screens")
HEADLINE = "embedded totesys → embedded warehouse, schema warehouse"
IN_FLIGHT = {name: {"batches_in_flight": 0} for name, feed in FEEDS.items() if feed.star is not None}
SECONDS = tuple(None if ago % 7 == 3 else Fresh(120.0 * (1 + ago % 6), 500.0 * (1 + ago % 9), 3) for ago in range(60))
MINUTE = Minute(
    seconds=SECONDS,
    feeds={"sales_order": Fresh(593.0, 1_640.0, 40), "payment": Fresh(75_000.0, 90_000.0, 9)},
    whole=Fresh(593.0, 1_640.0, 160),
)


def arrival(seconds_ago: float, feed: str, key: int | None, what: What = What.CHANGED, **fields: object) -> Arrival:
    usual: dict[str, object] = {"rows": 1, "origin": Origin.POLL, "fresh_seconds": 0.64}
    return Arrival(NOW - timedelta(seconds=seconds_ago), feed, key, what=what, **(usual | fields))


ARRIVALS = (
    arrival(0.2, "sales_order", 757, What.NEW),
    arrival(1.1, "payment", 1_044, origin=Origin.SCAN, fresh_seconds=1.2),
    arrival(2.3, "transaction", 1_043, What.NEW),
    arrival(3.1, "purchase_order", 292, What.DELETED, origin=Origin.SCAN, fresh_seconds=2.4),
    arrival(4.0, "staff", 7, fresh_seconds=75.0),
    arrival(5.0, "sales_order", None, What.LOADED, rows=1_000, origin=Origin.BACKFILL, fresh_seconds=None),
    arrival(6.0, "design", 12, origin=Origin.REPAIR, fresh_seconds=None),
    *(arrival(7.0 + each, "payment", 1_000 - each, What.NEW) for each in range(40)),
)
RATES = {name: Rate(0.0, 0.0) for name in FEEDS} | {"sales_order": Rate(2.4, 2.2), "payment": Rate(1_234.5, 123.4)}
HEALTHY = View(
    Moment(
        status_of(IN_FLIGHT, heartbeat=HeartbeatStatus(as_of=NOW, age_seconds=7.0)),
        HEADLINE,
        65.0,
        {"order": 108, "late_order": 6, "design": 1, "silent_update": 6, "amendment": 2, "deletion": 3},
    ),
    Flow(MINUTE, ARRIVALS),
    RATES,
)
"""Nothing needs anybody."""
START = View(Moment(status_of({name: {"rows_captured": 0, "rows_loaded": 0, "as_of": None, "lag_seconds": None}
                               for name in FEEDS}, freshness=Freshness()), HEADLINE, 0.4))  # fmt: skip
"""The first look: nothing is known yet."""
STOPPED = (
    "Expected the column public.payment.paid and found none: the source's owner must bring it back, or the contract \
must learn that it is gone and move to its next version."
)
TROUBLE = replace(
    HEALTHY,
    moment=replace(
        HEALTHY.moment,
        status=status_of(
            {
                **IN_FLIGHT,
                "sales_order": {"rows_quarantined": 17, "rows_in_quarantine": 12, "batches_in_flight": 1_000},
                "payment": {"stopped": STOPPED, "lag_seconds": 7_400.0},
                "design": {"as_of": NOW - timedelta(seconds=192), "lag_seconds": 192.0},
                "staff": {"paused": True},
            },
            {"changes": {"visible": 1_200, "in_flight": 20, "oldest_seconds": 75.0, "parked": 3}},
        ),
        remarks=("The simulator ended early: totesys is away.",),
    ),
    flow=Flow(MINUTE, (arrival(0.1, "sales_order", None, What.QUARANTINED, rows=12, fresh_seconds=0.8), *ARRIVALS)),
)
"""A feed that is stopped, one that stands still, one that is paused, quarantine, parked messages, no simulator."""
NUMBERS: Mapping[str, object] = {"rows_captured": 12_345_678_901, "rows_loaded": 1_234_567_890_123}
HUGE = View(
    Moment(
        status_of(queues={"loads": {"visible": 98_765_432, "in_flight": 120_000, "oldest_seconds": 273_600.0}})
        .model_copy(
            update={"feeds": {"counterparty_relationships_archive": feed_status("payment", **NUMBERS)}}
        ),
        "reader@db.a-rather-long-name.example.com/totesys → owner@wh.a-rather-long-name.example.com/warehouse",
        2_000_000.0,
    ),
    Flow(arrivals=(arrival(0.1, "counterparty_relationships_archive", 2_147_483_647),
                   arrival(0.2, "payment", None, What.LOADED, rows=123_456_789))),
    {"counterparty_relationships_archive": Rate(1_234_567.8, 0.04)},
)  # fmt: skip
"""A name, numbers and places longer than their columns."""
PICTURES = {
    "healthy-80x24": (HEALTHY, 80, 24),
    "healthy-80x40": (HEALTHY, 80, 40),
    "healthy-160x50": (HEALTHY, 160, 50),
    "trouble-80x24": (TROUBLE, 80, 24),
    "trouble-160x30": (TROUBLE, 160, 30),
    "start-80x24": (START, 80, 24),
    "huge-80x24": (HUGE, 80, 24),
}


def text(view: View, width: int, height: int, **options: object) -> str:
    """What a terminal of that size shows, without blanks at the ends of lines."""
    console = Console(file=io.StringIO(), width=width, height=height, **options)
    console.print(screen(view, width, height))
    assert isinstance(console.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in console.file.getvalue().splitlines())


def main() -> None:
    FOLDER.mkdir(exist_ok=True)
    for name, (view, width, height) in PICTURES.items():
        (FOLDER / f"{name}.txt").write_text(text(view, width, height), encoding="utf-8")


if __name__ == "__main__":
    main()
