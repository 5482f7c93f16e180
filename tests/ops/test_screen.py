"""The live view fits its terminal, whatever it has to show, and says what needs somebody and what to do."""

from random import Random

import pytest

from contracts.feeds import FEEDS
from services.ops.flow import Flow, Fresh, Minute
from services.ops.screen import TWO_COLUMNS, brief, lines, number, pace, sparkline
from services.ops.view import Moment
from tests.ops.fakes import status_of
from tests.ops.screens import FOLDER, HEALTHY, HUGE, PICTURES, START, TROUBLE, View, text

ALL = (HEALTHY, START, TROUBLE, HUGE)


@pytest.mark.parametrize("name", PICTURES)
def test_the_pictures_are_those_that_were_looked_at(name: str) -> None:
    assert text(*PICTURES[name]) == (FOLDER / f"{name}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize("view", ALL, ids=("healthy", "start", "trouble", "huge"))
def test_no_picture_is_wider_or_higher_than_its_terminal_and_no_line_wraps(view: View) -> None:
    sizes = Random(15)  # noqa: S311 - the same sizes every time
    for width, height in [(sizes.randint(20, 220), sizes.randint(1, 60)) for _ in range(150)]:
        found = lines(view, width, height)
        assert len(found) <= height
        assert all(line.cell_len <= width for line in found)
        assert len(text(view, width, height).splitlines()) == len(found)


@pytest.mark.parametrize("height", range(24, 61))
@pytest.mark.parametrize("width", [80, TWO_COLUMNS, 160])
def test_from_80_columns_and_24_lines_on_every_feed_queue_and_concern_is_shown(width: int, height: int) -> None:
    shown = text(TROUBLE, width, height)

    for name in (*FEEDS, "changes", "loads"):
        assert f"\n {name} " in shown
    for command in ("totes doctor", "totes resume staff", "totes dlq list"):
        assert f"→ {command}\n" in shown


@pytest.mark.parametrize("width", [80, 160])
def test_a_healthy_pipeline_of_24_lines_shows_freshness_and_what_arrived_last(width: int) -> None:
    shown = text(HEALTHY, width, 24)

    assert " fresh p50  593 ms  ▁▁▂ ▃▃" in shown
    assert "sales_order           757 new          640 ms poll" in shown
    assert " ! " not in shown


def test_two_columns_show_the_same_feeds_and_more_of_what_arrived() -> None:
    narrow, wide = (text(HEALTHY, width, 40).count(" payment  ") for width in (TWO_COLUMNS - 1, TWO_COLUMNS))

    assert wide > narrow


def test_a_terminal_too_low_says_how_many_feeds_it_leaves_out() -> None:
    assert text(HEALTHY, 80, 8).splitlines()[-1] == " … and 6 more feeds"


def test_a_sentence_of_any_length_leaves_its_command_in_sight() -> None:
    for length in range(1, 400, 7):
        view = View(Moment(status_of({"payment": {"stopped": "wrong " * length}})))
        said = [line for line in text(view, 80, 24).splitlines() if "→" in line]
        assert said[-1].endswith("→ totes doctor")


def test_without_colour_everything_is_still_said() -> None:
    coloured = text(TROUBLE, 160, 50, force_terminal=True, color_system="truecolor", no_color=False)
    plain = text(TROUBLE, 160, 50, force_terminal=True, color_system="truecolor", no_color=True)

    assert "\x1b[1;31m" in coloured
    assert "31m" not in plain
    assert "stopped" in plain


def test_only_what_should_be_zero_and_is_not_is_red() -> None:
    for view, expected in ((HEALTHY, False), (TROUBLE, True)):
        red = text(view, 160, 50, force_terminal=True, color_system="standard", no_color=False)
        assert ("\x1b[1;31m" in red) is expected


@pytest.mark.parametrize(
    ("count", "width", "words"),
    [
        (0, 5, "0"),
        (12_345_678, 10, "12,345,678"),
        (12_345_678, 9, "12,346 k"),
        (999_999, 5, "1.0 M"),
        (123_456_789, 5, "123 M"),
        (1_234_567_890_123, 10, "1,234.6 G"),
    ],
)
def test_a_count_that_is_too_long_is_rounded(count: int, width: int, words: str) -> None:
    assert number(count, width) == words


@pytest.mark.parametrize(
    ("rows_a_second", "words"),
    [(None, "-"), (0.0, "0"), (0.04, "0"), (0.06, "0.1"), (9.94, "9.9"), (9.96, "10"), (1_234.4, "1,234")],
)
def test_a_rate_has_a_decimal_where_it_is_small(rows_a_second: float | None, words: str) -> None:
    assert str(pace(rows_a_second, 5)) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (None, "-"),
        (0.64, "640 ms"),
        (2.44, "2.4 s"),
        (75, "1m 15s"),
        (3_599, "59m 59s"),
        (7_800, "2h 10m"),
        (273_600, "3d 4h"),
    ],
)
def test_a_time_takes_seven_characters_at_most(seconds: float | None, words: str) -> None:
    assert brief(seconds) == words


def test_each_block_of_the_sparkline_stands_for_twice_the_time_of_the_one_before() -> None:
    assert sparkline([0, 250, 251, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 16_001, None, 1e9]) == "▁▁▂▂▃▄▅▆▇█ █"


def test_the_sparkline_ends_with_this_second_and_loses_the_oldest_first() -> None:
    seconds = (*(Fresh(100.0, 100.0, 1),) * 59, Fresh(20_000.0, 20_000.0, 1))
    view = View(Moment(status_of()), Flow(Minute(seconds=seconds)))

    shown = [line for line in text(view, 50, 40).splitlines() if "p99" in line]

    assert shown == ["       p99       -  " + 29 * "▁" + "█"]
