"""What a deployment costs at list prices, as `make costs` computes it: a million changed rows, and an idle month.

Invariant: nothing is measured here and nothing is assumed here; docs/deploy.md shows what the sums are made of.
"""

from collections.abc import Iterator, Sequence

from services.costs.model import lines, setting
from services.costs.prices import prices
from services.costs.table import WATCHING, usd
from services.local.topology import topology
from services.ops.bench.figures import Figure, Task, measured

MOST_A_MILLION, MOST_A_MONTH = 0.01, 15.0
"""US dollars."""


def measure(_task: Task) -> Sequence[Figure]:
    """The sums, watching apart."""
    paid, known = lines(topology()), prices()
    watching = sum(usd(line, known)[0] for line in paid if line.price in WATCHING)
    idle, bulk, trickle = (sum(usd(line, known)[place] for line in paid) for place in range(3))
    return list(figures_of(bulk=bulk, trickle=trickle, idle=idle - watching, watching=watching))


def figures_of(*, bulk: float, trickle: float, idle: float, watching: float) -> Iterator[Figure]:
    """US dollars in words. Pure."""
    yield measured(
        "1,000,000 changed rows in bulk",
        [bulk],
        "USD",
        target=f"at most {MOST_A_MILLION:g}",
        met=lambda value: value <= MOST_A_MILLION,
        note=f"pages full; {trickle:.2f} where a page has ten rows, as on a busy day without a backlog",
    )
    yield measured(
        "an idle month",
        [idle],
        "USD",
        target=f"at most {MOST_A_MONTH:g}",
        met=lambda value: value <= MOST_A_MONTH,
        note=f"a poll every {setting('poll_interval_seconds'):g} s, no free tier, without the databases; CloudWatch's "
        f"alarms, metrics and dashboard are another {watching:.2f}",
    )
