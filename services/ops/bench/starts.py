"""How long a function takes from nothing to adapters built, beside what it cannot do without.

Each start is a process of its own that finds our code and the environment's packages and nothing else: no site, no
PYTHONPATH. Its seconds go from before the process is begun to its last adapter, the interpreter's own start included.
The floor, begun just after it, imports boto3 (and fastparquet, where the function has its layer) and makes the same
clients. On a machine that does other things the ratio of both tells more than the seconds.

Invariant: nothing connects: the credentials are no account's, and a composition only builds.
"""

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import boto3

from services.local.code import code_files, code_root
from services.local.description import CREDENTIALS
from services.local.topology import Function, topology
from services.ops.bench.figures import Figure, Task, measured
from services.packages.alone import for_the_interpreter
from services.packages.slim import called_services
from shared.errors import PipelineError

RUNS_EACH = 5
"""Starts of a function in each run: one is short, and the first reads its files from the disk."""
TARGET_SECONDS = {"poller": 0.45}
OTHERS_TARGET_SECONDS = 0.9
ENVIRONMENT = {
    "AWS_ACCESS_KEY_ID": CREDENTIALS,
    "AWS_SECRET_ACCESS_KEY": CREDENTIALS,
    "AWS_DEFAULT_REGION": "eu-west-2",
}
_BEFORE = "import json, resource, sys, time\nsys.path[:0] = sys.argv[2:]\n"
_AFTER = """
used = resource.getrusage(resource.RUSAGE_SELF)
print(json.dumps([time.monotonic() - float(sys.argv[1]), used.ru_utime + used.ru_stime]))
"""


@dataclass(frozen=True)
class Start:
    """Seconds that passed, and seconds of a processor (user and system)."""

    seconds: float
    cpu: float


def measure(task: Task) -> Sequence[Figure]:
    """The starts of every function."""
    starts: dict[str, list[Start]] = {name: [] for name in topology().functions}
    floors: dict[str, list[Start]] = {name: [] for name in topology().functions}
    for name, function in topology().functions.items():
        task.say(f"Start of the {name}")
        for _ in range(task.runs * RUNS_EACH):
            starts[name].append(started(of_function(function)))
            floors[name].append(started(of_its_libraries(name, function)))
    return list(figures_of(starts, floors))


def figures_of(starts: Mapping[str, Sequence[Start]], floors: Mapping[str, Sequence[Start]]) -> Iterator[Figure]:
    """For each function the seconds that pass and the processor's. Pure."""
    for name, found in starts.items():
        target = TARGET_SECONDS.get(name, OTHERS_TARGET_SECONDS)
        yield measured(
            f"start of the {name}",
            [start.seconds for start in found],
            "s",
            limits=[floor.seconds for floor in floors[name]],
            limit_name="its libraries and clients alone",
            target=f"at most {target:g} s",
            met=lambda seconds, target=target: seconds <= target,  # type: ignore[misc]
        )
        yield measured(
            f"start of the {name}, processor",
            [start.cpu for start in found],
            "CPU s",
            limits=[floor.cpu for floor in floors[name]],
            limit_name="its libraries and clients alone",
        )


def of_function(function: Function) -> str:
    """What imports a handler and builds its adapters."""
    return f"import {(module := function.handler.rpartition('.')[0])}\n{module}.composition()"


def of_its_libraries(name: str, function: Function) -> str:
    """What imports the libraries that a function is mostly made of, and makes the clients that its code makes."""
    clients = [f"boto3.client({service!r})" for service in sorted(services_of(name))]
    return "\n".join(["import boto3", *(["import fastparquet"] if function.layers else []), *clients])


def services_of(name: str) -> frozenset[str]:
    """The AWS services of which a function's own code makes clients."""
    return called_services(path for _, path in code_files(name))


def started(script: str) -> Start:
    """Run a script in a clean interpreter. Raises PipelineError with its last words."""
    paths = [f"{code_root()}", f"{Path(boto3.__file__).parents[1]}"]
    command = [sys.executable, "-S", "-I", "-c", f"{_BEFORE}{script}{_AFTER}", f"{time.monotonic()}", *paths]
    variables = {**for_the_interpreter(), **ENVIRONMENT}
    answer = subprocess.run(command, capture_output=True, text=True, env=variables, check=False)  # noqa: S603 - ours
    if answer.returncode:
        raise PipelineError(f"Expected a function that starts, found: {answer.stderr.strip()[-500:]}")
    return Start(*json.loads(answer.stdout))
