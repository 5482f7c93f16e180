"""A run always ends with everything stopped, whatever ends it."""

import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from rich.console import Console

from services.ops.status import WINDOW_SECONDS
from services.ops.up import (
    DRAIN_SECONDS,
    LIVE_EVERY_SECONDS,
    PLAIN_EVERY_SECONDS,
    Asked,
    Driver,
    Interruption,
    Rhythm,
    run,
    watch,
)
from shared.errors import SourceUnavailable
from tests.ops.fakes import FakePipeline, FakeSimulation

ROOT = Path(__file__).parents[2]
OTHER_SCREEN, BACK, HOME = "\x1b[?1049h", "\x1b[?1049l", "\x1b[H"


class Clock:
    """Time that passes only where somebody waits; after `limit` seconds the end is asked for."""

    def __init__(self, limit: float = float("inf")) -> None:
        self.seconds = 0.0
        self.limit = limit
        self.waits: list[float] = []

    def elapsed(self) -> float:
        return self.seconds

    def is_set(self) -> bool:
        return self.seconds >= self.limit

    def wait(self, timeout: float) -> bool:
        self.waits.append(timeout)
        self.seconds += timeout
        return self.is_set()


def plain() -> Console:
    return Console(file=io.StringIO(), width=200)


def text_of(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_run_starts_watches_drains_counts_and_stops_in_this_order() -> None:
    pipeline, interruption = FakePipeline(), asked_later()

    run(pipeline, seconds=0.01, console=plain(), monotonic=count().__next__, interruption=interruption)

    assert list(dict.fromkeys(pipeline.steps)) == ["start", "drain", "summary", "stop"]
    assert not pipeline.running


def test_the_status_is_shown_until_the_seconds_are_over() -> None:
    pipeline, clock, shown = FakePipeline(), Clock(), []

    watch(pipeline, Driver(None), shown.append, Rhythm(clock.elapsed, clock, pause_seconds=5, seconds=12))

    assert clock.waits == [5, 5, 2]
    assert [moment.elapsed_seconds for moment in shown] == [0, 5, 10]


def test_without_seconds_the_status_is_shown_until_the_end_is_asked_for() -> None:
    pipeline, clock, shown = FakePipeline(), Clock(limit=3_600), []

    watch(pipeline, Driver(None), shown.append, Rhythm(clock.elapsed, clock, pause_seconds=60, seconds=0))

    assert len(shown) == 60
    assert max(pipeline.windows) <= WINDOW_SECONDS


def test_the_seconds_count_from_the_moment_everything_is_up() -> None:
    pipeline, clock, shown = FakePipeline(), Clock(), []
    clock.seconds = 40.0

    watch(pipeline, Driver(None), shown.append, Rhythm(clock.elapsed, clock, pause_seconds=5, seconds=10))

    assert len(shown) == 2


@pytest.mark.parametrize("step", ["start", "status", "drain", "summary"])
def test_whatever_fails_the_pipeline_is_stopped_and_the_reason_leaves(step: str) -> None:
    pipeline = FakePipeline(fail={step: SourceUnavailable("The source is away.")})

    with pytest.raises(SourceUnavailable):
        run(pipeline, seconds=10, console=plain(), monotonic=count().__next__, interruption=asked_later())

    assert pipeline.steps[-1] == "stop"
    assert not pipeline.running


def test_the_simulation_runs_while_it_is_watched_and_has_ended_before_the_drain() -> None:
    simulation = FakeSimulation()
    ended_at: dict[str, bool] = {}
    pipeline = FakePipeline(simulation, at_step=lambda step: ended_at.setdefault(step, simulation.ended) and None)

    summary = run(pipeline, seconds=3, console=plain(), monotonic=count().__next__, interruption=asked_to_end())

    assert ended_at["drain"]
    assert summary.simulated == {"order": 3, "silent_update": 0}


def test_a_simulator_that_fails_is_named_and_the_run_goes_on() -> None:
    with Driver(FakeSimulation(SourceUnavailable("totesys is away."))) as driver:
        driver._thread.join()

    assert driver.remarks() == ("The simulator ended early: totesys is away.",)


def test_plain_output_is_lines_of_text_without_any_control_character() -> None:
    console = plain()

    run(FakePipeline(), seconds=3, console=console, monotonic=count(0, 0.5).__next__, interruption=asked_later())

    lines = text_of(console).splitlines()
    assert "\x1b" not in text_of(console)
    assert lines[0].endswith("Starting the databases")
    assert any("fake totesys → fake warehouse" in line for line in lines)
    assert any("captured 120 loaded 120" in line for line in lines)
    assert lines[-1].strip() == "Drained: everything captured is loaded, quarantined or parked."


def test_on_a_terminal_the_picture_is_redrawn_in_place() -> None:
    console = Console(file=io.StringIO(), width=80, height=50, force_terminal=True)

    run(FakePipeline(), seconds=1, console=console, monotonic=count(0, 0.5).__next__, interruption=asked_later())

    assert "\x1b[" in text_of(console)
    assert "sales_order" in text_of(console)


def test_the_live_view_has_a_screen_of_its_own_and_the_summary_stays_behind() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, _environ={"TERM": "xterm"})

    run(FakePipeline(), seconds=1, console=console, monotonic=count(0, 0.5).__next__, interruption=asked_later())

    before, _, rest = text_of(console).partition(OTHER_SCREEN)
    live, _, after = rest.partition(BACK)
    assert "Up: fake totesys" in before
    assert "in flight" in live
    assert "in flight" not in after
    assert "Drained: everything captured is loaded, quarantined or parked." in after


def test_no_picture_scrolls_its_screen_or_erases_it() -> None:
    console = Console(file=io.StringIO(), width=80, height=24, force_terminal=True, _environ={"TERM": "xterm"})

    run(FakePipeline(), seconds=6, console=console, monotonic=count(0, 0.5).__next__, interruption=asked_later())

    pictures = text_of(console).partition(OTHER_SCREEN)[2].partition(BACK)[0].split(HOME)[1:]
    shown = [picture for picture in pictures if "in flight" in picture]
    assert len(shown) >= 3
    assert {picture.count("\n") for picture in shown} == {23}
    assert "\x1b[2J" not in "".join(shown)
    assert "\x1b[2K" not in "".join(shown)


def test_a_terminal_that_cannot_move_its_cursor_gets_lines() -> None:
    console = Console(file=io.StringIO(), width=200, height=24, force_terminal=True, _environ={"TERM": "dumb"})

    run(FakePipeline(), seconds=3, console=console, monotonic=count(0, 0.5).__next__, interruption=asked_later())

    assert "\x1b" not in text_of(console)
    assert "captured 120 loaded 120" in text_of(console)


def test_what_still_waits_after_the_drain_is_said() -> None:
    console = plain()

    run(FakePipeline(waiting=3), seconds=1, console=console, monotonic=count().__next__, interruption=asked_later())

    assert "Not drained: messages are still waiting; the next `totes up` goes on with them." in text_of(console)


def test_the_first_signal_ends_the_watching_and_a_second_one_breaks_off_the_draining() -> None:
    interruption = Interruption()
    interruption.watching()

    interruption.receive(signal.SIGINT, None)

    assert interruption.asked.is_set()
    with pytest.raises(KeyboardInterrupt):
        interruption.receive(signal.SIGTERM, None)


def test_a_signal_breaks_off_the_start_and_leaves_the_stopping_alone() -> None:
    interruption = Interruption()

    with pytest.raises(KeyboardInterrupt):
        interruption.receive(signal.SIGINT, None)

    interruption.receive(signal.SIGINT, None)


AT_EVERY_LINE = """
import sys
from services.ops.up import Asked

def interrupted_at(line):
    asked, seen = Asked(), 0
    def trace(frame, event, arg):
        nonlocal seen
        seen += 1
        if seen == line:
            sys.settrace(None)
            asked.set()
        return trace
    sys.settrace(trace)
    asked.wait(0.001)
    sys.settrace(None)
    done = asked.is_set()
    asked.close()
    return done

line = 1
while interrupted_at(line):
    line += 1
print(line - 1)
"""


def test_a_signal_may_come_at_any_line_of_the_waiting_without_a_deadlock() -> None:
    found = subprocess.run(
        [sys.executable, "-c", AT_EVERY_LINE], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )

    assert int(found.stdout) >= 2


def test_waiting_ends_when_the_end_is_asked_for_and_asking_twice_is_harmless() -> None:
    asked = Asked()
    asked.set()
    asked.set()

    assert asked.wait(3_600)
    asked.close()


def test_signals_are_given_back_at_the_end() -> None:
    before = signal.getsignal(signal.SIGTERM)

    with Interruption().installed() as interruption:
        assert signal.getsignal(signal.SIGTERM) == interruption.receive

    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_watching_drains_and_prints_the_summary(number: signal.Signals) -> None:
    with started("never") as (process, lines):
        expect(lines, "status")

        process.send_signal(number)

        output = list(lines)
        assert process.wait() == 0
        assert output.index("drain") < output.index("summary") < output.index("stop")
        assert output[-1] == "running False"


def test_a_signal_while_starting_breaks_it_off_and_stops_everything() -> None:
    with started("start") as (process, lines):
        expect(lines, "start")

        process.send_signal(signal.SIGTERM)

        assert list(lines) == ["stop", "broken off", "running False"]


def test_a_second_signal_while_draining_breaks_it_off_and_stops_everything() -> None:
    with started("drain") as (process, lines):
        expect(lines, "status")
        process.send_signal(signal.SIGINT)
        expect(lines, "drain")

        process.send_signal(signal.SIGINT)

        assert list(lines)[-3:] == ["stop", "broken off", "running False"]


def test_draining_is_given_a_minute_and_a_log_is_not_flooded() -> None:
    assert DRAIN_SECONDS >= 60
    assert PLAIN_EVERY_SECONDS > LIVE_EVERY_SECONDS


def asked_to_end() -> Interruption:
    """The end was asked for the moment everything is up."""
    interruption = Interruption()
    interruption.asked.set()
    return interruption


def asked_later() -> Interruption:
    """Waiting costs no time here: the run's clock goes by itself."""
    interruption = Interruption()
    interruption.asked = Impatient()
    return interruption


class Impatient(Asked):
    def wait(self, timeout: float) -> bool:
        return super().wait(0)


@contextmanager
def started(dwelling: str) -> Iterator[tuple["subprocess.Popen[str]", Iterator[str]]]:
    """The fake pipeline in a process of its own, and the lines it prints."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.ops.fakes", dwelling],
        cwd=ROOT,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process, (line.rstrip("\n") for line in process.stdout)
        finally:
            process.kill()


def expect(lines: Iterator[str], wanted: str) -> None:
    assert wanted in lines
