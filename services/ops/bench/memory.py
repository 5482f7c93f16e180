"""The peak memory of each function that a whole path needs, with a small backlog and with a large one.

The functions run as they are deployed, each in a process of its own, which is asked for the peak of its own resident
memory (VmHWM, which unlike ru_maxrss inherits nothing from whoever started it). Libraries that are mapped and the
runtime's own code count too, as they do on Lambda.

Invariant: a process that has worked is still there when it is asked: workers stay warm until their stack ends.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import boto3
import psutil
from botocore.config import Config

from services.local.description import CREDENTIALS, REGION, StackDescription
from services.local.topology import topology
from services.ops.bench.figures import Figure, Task, measured
from services.ops.bench.path import backfilled
from shared.errors import PipelineError

FULL_ORDERS = 10_000_000
LARGEST_MIB = 256
NO_MORE_THAN = 1.1
"""A large backlog's peak in a small one's, at most, to be called the same: pages differ by their rows' lengths."""
FUNCTIONS = ("poller", "transform", "loader", "reconciler")
KIB_PER_MIB = 1024


def measure(task: Task) -> Sequence[Figure]:
    """The peaks of one run for each size; in full also of ten million orders."""
    sizes = [task.orders, *((FULL_ORDERS,) if task.full else ())]
    peaks = {}
    for orders in sizes:
        task.say(f"Peak memory of the functions with a backlog of {orders:,} orders")
        peaks[orders] = peaks_mib(task.folder / f"memory-{orders}", orders)
    return list(figures_of(peaks))


def figures_of(peaks: Mapping[int, Mapping[str, float]]) -> Iterator[Figure]:
    """One figure for each function and size; beside the larger sizes stands the smallest. Pure."""
    smallest = min(peaks)
    for function in FUNCTIONS:
        for orders, found in peaks.items():
            beside = None if orders == smallest else peaks[smallest][function]
            yield _figure(f"{function}, backlog of {orders:,}", found[function], beside, f"backlog of {smallest:,}")


def _figure(name: str, peak: float, beside: float | None, beside_name: str) -> Figure:
    if beside is None:
        return measured(name, [peak], "MiB", target=f"at most {LARGEST_MIB} MiB", met=lambda mib: mib <= LARGEST_MIB)
    return measured(
        name,
        [peak],
        "MiB",
        limits=[beside],
        limit_name=beside_name,
        target=f"at most {LARGEST_MIB} MiB, and the same as with the smaller backlog",
        met=lambda mib: mib <= min(LARGEST_MIB, beside * NO_MORE_THAN),
    )


def peaks_mib(folder: Path, orders: int) -> dict[str, float]:
    """By function, after a stack in this folder loaded so many orders and reconciled them. Raises PipelineError."""
    with backfilled(folder, orders) as (stack, _):
        _reconcile(stack)
        [aws] = [process.pid for process in stack.children if process.name == "aws"]
        found = peaks_below(aws)
    missing = set(FUNCTIONS) - set(found)
    if missing:
        raise PipelineError(f"Expected a process of each function, found none of {', '.join(sorted(missing))}.")
    return found


def peaks_below(pid: int) -> dict[str, float]:
    """MiB of the largest process of each function below a process, by the function's name in the topology."""
    names = {topology().name(function): function for function in topology().functions}
    found: dict[str, float] = {}
    for process in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            function = names.get(process.environ().get("AWS_LAMBDA_FUNCTION_NAME", ""))
            if function is not None:
                found[function] = max(found.get(function, 0.0), peak_mib(process.pid))
    return found


def peak_mib(pid: int) -> float:
    """The peak of a process's resident memory since it began. Raises psutil.NoSuchProcess."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError) as exc:
        raise psutil.NoSuchProcess(pid) from exc
    for line in status.splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / KIB_PER_MIB
    raise psutil.NoSuchProcess(pid)  # a zombie has no memory


def _reconcile(stack: StackDescription) -> None:
    """Have the reconciler compare everything, as its schedule would. Raises PipelineError where it fails."""
    described = topology()
    client = boto3.client(
        "lambda",
        endpoint_url=stack.endpoint_url,
        region_name=REGION,
        aws_access_key_id=CREDENTIALS,
        aws_secret_access_key=CREDENTIALS,
        config=Config(
            proxies={},
            retries={"total_max_attempts": 1},
            read_timeout=described.functions["reconciler"].timeout_seconds,
        ),
    )
    answer = client.invoke(FunctionName=described.name("reconciler"), Payload=b"{}")
    said = answer["Payload"].read()
    if "FunctionError" in answer:
        raise PipelineError(f"Expected the reconciler to end well, found {json.loads(said)}.")
