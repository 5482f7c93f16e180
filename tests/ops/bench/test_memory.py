"""A function's peak is its own process's, and is held against 256 MiB and against the smaller backlog's."""

import os
import subprocess
import sys

import psutil
import pytest

from services.ops.bench import memory
from services.ops.bench.memory import FUNCTIONS, figures_of, peak_mib, peaks_below

WORKER = "taken = bytearray(int({mib}) << 20); del taken; print(flush=True); input()"


def peaks(mib: float) -> dict[str, float]:
    return dict.fromkeys(FUNCTIONS, mib)


def worker(name: str, mib: int) -> "subprocess.Popen[str]":
    """A process that once had so much memory, as a worker of this function."""
    started = subprocess.Popen(
        [sys.executable, "-S", "-I", "-c", WORKER.format(mib=mib)],
        env={"AWS_LAMBDA_FUNCTION_NAME": name},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert started.stdout
    started.stdout.readline()
    return started


def test_the_peak_of_a_function_is_that_of_its_largest_process_and_outlives_the_memory_itself():
    started = [worker("totes-loader", 8), worker("totes-loader", 64), worker("somebody-else", 8)]
    try:
        found = peaks_below(os.getpid())
    finally:
        for each in started:
            each.communicate("\n")

    assert found.keys() == {"loader"}
    assert 64 < found["loader"] < 128


def test_a_process_that_ended_has_no_peak():
    ended = worker("totes-loader", 1)
    ended.communicate("\n")

    with pytest.raises(psutil.NoSuchProcess):
        peak_mib(ended.pid)


@pytest.mark.parametrize(
    ("small", "large", "met"),
    [
        (100.0, 105.0, (True, True)),
        (100.0, 140.0, (True, False)),
        (250.0, 257.0, (True, False)),
        (300.0, 300.0, (False, False)),
    ],
)
def test_a_large_backlog_may_take_no_more_than_a_small_one_and_neither_more_than_256_mib(small, large, met):
    found = [figure for figure in figures_of({10: peaks(small), 100: peaks(large)}) if "loader" in figure.name]

    assert tuple(figure.met for figure in found) == met
    assert [figure.ratio for figure in found] == [None, large / small]
    assert memory.LARGEST_MIB == 256
