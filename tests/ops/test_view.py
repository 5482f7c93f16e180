"""What people see, at the widths they have."""

import io
from datetime import timedelta

import pytest
from rich.console import Console, RenderableType

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES
from services.ops.status import Freshness, HeartbeatStatus, ParkedCause, Reconciliation
from services.ops.summary import render
from services.ops.view import WIDE_COLUMNS, Moment, duration, picture, plain_line, sentences
from tests.ops.fakes import NOW, status_of, summary_of

BUSY = status_of(
    feeds={
        "sales_order": {
            "rows_captured": 12_345_678,
            "rows_loaded": 12_345_600,
            "rows_quarantined": 17,
            "rows_in_quarantine": 12,
        },
        "payment": {"stopped": "Expected the column public.payment.paid and found none.", "lag_seconds": 7_400.0},
        "design": {"as_of": None, "lag_seconds": None},
    },
    queues={"changes": {"visible": 1_200, "in_flight": 20, "oldest_seconds": 75.0, "parked": 3}},
)
MOMENT = Moment(BUSY, "embedded totesys → embedded warehouse, schema warehouse", 3_725.0, {"order": 40, "silent": 2})


def lines(renderable: RenderableType, width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(renderable)
    assert isinstance(console.file, io.StringIO)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def line_of(name: str, among: list[str]) -> list[str]:
    return next(line.split() for line in among if line.startswith(f" {name} "))


@pytest.mark.parametrize("width", [80, WIDE_COLUMNS, 160])
def test_every_feed_and_queue_has_one_line_that_nothing_cuts(width: int) -> None:
    shown = lines(picture(MOMENT, width), width)

    assert all(len(line) <= width for line in shown)
    assert all(line_of(name, shown) for name in FEEDS)
    assert line_of("sales_order", shown)[:4] == ["sales_order", "12,345,678", "12,345,600", "17"]
    assert line_of("changes", shown) == ["changes", "1,200", "20", "1", "min", "15", "s", "3"]
    assert "…" not in "".join(shown)


def test_a_wide_terminal_shows_positions_and_star_tables_too() -> None:
    assert line_of("staff", lines(picture(MOMENT, 160), 160))[-6:] == ["1", "h", "02", "min", "1.3729", "dim_staff"]
    assert line_of("department", lines(picture(MOMENT, 160), 160))[-2:] == ["archive", "only"]


def test_the_live_view_fits_a_terminal_of_24_lines() -> None:
    assert len(lines(picture(Moment(status_of(), "", 1.0, {"order": 1}), 80), 80)) <= 24


def test_a_feed_that_is_archived_only_shows_no_number_of_loaded_rows() -> None:
    assert line_of("department", lines(picture(MOMENT, 80), 80))[:3] == ["department", "12", "-"]


def test_what_needs_an_operator_is_said_in_words() -> None:
    shown = " ".join(lines(picture(MOMENT, 160), 160))

    assert "Feed payment is stopped: Expected the column public.payment.paid and found none." in shown
    assert "12 rows broke their contract and lie in quarantine (sales_order 12)." in shown
    assert "3 messages are parked in dead-letter queues." in shown


def test_parked_messages_are_told_by_their_causes_where_they_were_looked_into() -> None:
    causes = (ParkedCause(queue="changes", cause="malformed_message", count=2),)
    status = status_of(queues={"changes": {"parked": 2}}, parked_causes=causes)

    assert "2 messages are parked in dead-letter queues (changes malformed_message 2)." in list(sentences(status))


def test_a_paused_feed_is_said_in_its_line_and_in_a_sentence() -> None:
    status = status_of(feeds={"design": {"paused": True}, "staff": {"paused": True}})

    assert line_of("design", lines(picture(Moment(status), 80), 80))[-1] == "paused"
    assert list(sentences(status)) == ["Paused by an operator: staff, design."]


def test_the_last_heartbeat_and_the_last_reconciliation_stand_on_one_line() -> None:
    beat = HeartbeatStatus(as_of=NOW, age_seconds=12.3)
    last = Reconciliation(
        at=NOW - timedelta(seconds=243), drift=1_234, repaired=1_200, held_back=34, skipped=("staff",)
    )
    status = status_of(heartbeat=beat, reconciliation=last)

    assert line_of("heartbeat", lines(picture(Moment(status_of()), 80), 80))[1:] == [
        "none",
        "yet;",
        "not",
        "reconciled",
        "yet",
    ]
    shown = " ".join(lines(picture(Moment(status), 140), 140))
    assert (
        "heartbeat  12.3 s ago; reconciled 4 min 03 s ago: 1,234 differed, 1,200 repaired, 34 deletions held back, "
        "1 feeds not compared" in shown
    )


def test_a_wide_terminal_shows_as_of_when_each_feed_is_proven_to_be_loaded() -> None:
    status = status_of(feeds={"design": {"complete_as_of": NOW - timedelta(seconds=5)}})

    shown = lines(picture(Moment(status), WIDE_COLUMNS), WIDE_COLUMNS)

    assert "09:29:55Z" in line_of("design", shown)
    assert "complete as of" in " ".join(shown)


def test_a_healthy_pipeline_shows_no_concern() -> None:
    assert not [line for line in lines(picture(Moment(status_of()), 80), 80) if line.startswith(" !")]


def test_the_head_says_how_long_it_runs_and_between_what() -> None:
    assert lines(picture(MOMENT, 80), 80)[0] == (
        " totes  running 1:02:05  embedded totesys → embedded warehouse, schema warehouse"
    )


def test_the_plain_line_is_one_line_with_all_that_moves() -> None:
    line = plain_line(Moment(status_of(queues={"loads": {"visible": 2, "in_flight": 1}}), "", 65.0, {"order": 40}))

    assert line == (
        "01:05  captured 120 loaded 120 quarantined 0 · changes 0+0 · loads 2+1 · parked 0 · "
        "freshness p50 640 ms, p99 2.3 s (1,234 changed rows in the last 1 min 00 s) · simulated 40"
    )


def test_the_plain_line_names_a_stopped_feed_and_a_part_that_does_not_answer() -> None:
    line = plain_line(Moment(status_of(feeds={"design": {"stopped": "Why."}}, notes=("S3 failed.",), paused=True)))

    assert line.endswith("! The poller is paused by an operator. · ! Feed design is stopped: Why. · ! S3 failed.")


def test_without_a_change_there_is_no_freshness_to_show() -> None:
    assert "freshness no change loaded in the last 15 min 00 s" in plain_line(Moment(status_of(freshness=Freshness())))


def test_a_snapshot_of_another_day_shows_its_date() -> None:
    yesterday = status_of(feeds={"design": {"as_of": NOW.replace(day=1)}})

    assert line_of("design", lines(picture(Moment(yesterday), 80), 80))[4:6] == ["03-01", "09:30Z"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.0004, "0 ms"),
        (0.85, "850 ms"),
        (0.9996, "1 s"),
        (2.44, "2.4 s"),
        (59.97, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3_599.7, "1 h 00 min"),
        (7_800, "2 h 10 min"),
        (86_399.9, "1 d 0 h"),
        (273_600, "3 d 4 h"),
    ],
)
def test_a_time_is_said_in_the_unit_that_suits_it(seconds: float | None, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize("width", [80, 160])
def test_the_summary_counts_every_feed_and_every_star_table(width: int) -> None:
    shown = lines(render(summary_of(BUSY)), width)

    assert all(len(line) <= width for line in shown)
    assert line_of("sales_order", shown) == ["sales_order", "12", "12,345,678", "12,345,600", "17"]
    assert line_of("department", shown)[-3:] == ["archive", "only", "0"]
    assert [line_of(table.table, shown)[1] for table in STAR_TABLES] == ["40"] * len(STAR_TABLES)
    assert line_of("fact_payment", shown)[1:] == ["40", "31", "source", "rows"]


def test_the_summary_says_how_long_how_fresh_and_what_lies_aside() -> None:
    shown = "\n".join(lines(render(summary_of(BUSY, simulated={"order": 40})), 80))

    for words in ("ran for      1 min 05 s", "first row    4.2 s", "p50 640 ms, p99 2.3 s", "17 rows", "3 messages"):
        assert words in shown
    assert "40 row changes (order 40)" in shown


def test_a_source_table_too_large_to_count_shows_no_number() -> None:
    shown = lines(render(summary_of(status_of(), source_rows={"payment": None})), 80)

    assert line_of("payment", shown)[1] == "-"


def test_a_run_without_news_says_so() -> None:
    shown = "\n".join(lines(render(summary_of(status_of(freshness=Freshness()), first_row_seconds=None)), 80))

    assert "nothing new arrived" in shown
    assert "no change was loaded" in shown
