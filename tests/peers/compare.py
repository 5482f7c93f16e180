"""All contestants through the same rows, in an order that turns with each run, and what that comes to.

Invariant: a sample is kept only after its target was found equal to the source.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from services.ops.bench.figures import Figure, measured
from shared.errors import PipelineError
from tests.peers.contestants import Command, Contestant, seconds_at_work
from tests.peers.process import run
from tests.peers.servers import Held, Servers

OURS, LIMIT, SLING, DLT = "totes", "COPY | COPY by psql", "Sling", "dlt pyarrow"
CHANGED_SHARE = 10
"""Every tenth order is updated."""
TARGETS: Mapping[str, Mapping[str, float]] = {"backfill": {SLING: 1 / 2, DLT: 1 / 4}, "update": {SLING: 1 / 2}}
"""Step -> tool -> the share of its time that we may take; of dlt its Arrow backend as it comes, not through ADBC."""


@dataclass(frozen=True)
class Sample:
    """One step of one contestant: seconds of the whole process, and of its work alone where it tells them.

    `peak_mib`: the most memory of its processes. `cpu`: processor seconds by who used them, the servers too.
    """

    whole: float
    alone: float | None = None
    peak_mib: float | None = None
    cpu: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Round:
    """Both steps of one contestant in one run."""

    backfill: Sample
    update: Sample


def go(servers: Servers, contestant: Contestant, orders: int) -> Round:
    """Backfill into an empty schema, update a tenth, and hold the target to the source after each.

    Raises PipelineError where they differ, RuntimeError where the tool fails.
    """
    servers.fresh(contestant)
    backfill = _step(servers, contestant, contestant.backfill)
    servers.change(orders // CHANGED_SHARE, CHANGED_SHARE)
    return Round(backfill, _step(servers, contestant, contestant.update))


def _step(servers: Servers, contestant: Contestant, command: Command) -> Sample:
    before = servers.cpu_seconds()
    ended = run(command)
    cpu = {contestant.name: ended.cpu_seconds, **servers.used_since(before)}
    expect_equal(contestant.name, servers.held_by_source(), servers.held_by(contestant))
    return Sample(ended.seconds, seconds_at_work(contestant.name, ended.lines), ended.peak_mib, cpu)


def expect_equal(name: str, wanted: Held, found: Held) -> None:
    """Raises PipelineError where the target does not hold what the source does."""
    if wanted != found:
        raise PipelineError(f"Expected {wanted} in the table of {name}, found {found}: its time means nothing.")


def figures_of(rounds: Mapping[str, Sequence[Round]], orders: int) -> Iterator[Figure]:
    """Each step of each contestant, then ours in theirs, run by run. Pure."""
    steps: dict[str, Callable[[Round], Sample]] = {
        "backfill": lambda one: one.backfill,
        "update": lambda one: one.update,
    }
    for step, sample in steps.items():
        rows = orders if step == "backfill" else orders // CHANGED_SHARE
        samples = {name: [sample(one) for one in runs] for name, runs in rounds.items()}
        yield from _times(f"{step} of {rows:,} orders", samples)
        yield from _ratios(step, samples)


def _times(what: str, samples: Mapping[str, Sequence[Sample]]) -> Iterator[Figure]:
    limits = [sample.whole for sample in samples[LIMIT]]
    for name, runs in samples.items():
        yield measured(
            f"{what}: {name}",
            [sample.whole for sample in runs],
            "s",
            limits=[] if name == LIMIT else limits,
            limit_name="" if name == LIMIT else LIMIT,
            note=_note(runs),
        )


def _ratios(step: str, samples: Mapping[str, Sequence[Sample]]) -> Iterator[Figure]:
    """Run by run, since what slows one contestant down slows its neighbours too; both without their starts."""
    for name, runs in samples.items():
        if name in (OURS, LIMIT) or OURS not in samples:
            continue
        target = TARGETS[step].get(name)
        yield measured(
            f"{step}: {OURS} / {name}",
            [_work(ours) / _work(theirs) for ours, theirs in zip(samples[OURS], runs, strict=True)],
            "",
            target="" if target is None else f"at most {target:g}",
            met=None if target is None else lambda value, most=target: value <= most,
            note="without the start of either; functions warm",
        )


def _work(sample: Sample) -> float:
    return sample.whole if sample.alone is None else sample.alone


def _note(runs: Sequence[Sample]) -> str:
    """Of the first run: the time without the start, memory and processor time."""
    first = runs[0]
    alone = [] if first.alone is None else [f"{first.alone:.1f} s without its start"]
    peak = [] if first.peak_mib is None else [f"{first.peak_mib:,.0f} MiB at the most"]
    cpu = [f"CPU seconds: {', '.join(f'{name} {used:.1f}' for name, used in first.cpu.items())}"] if first.cpu else []
    return f"first run: {'; '.join([*alone, *peak, *cpu])}" if alone or peak or cpu else ""
