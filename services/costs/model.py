"""How much of what a deployment uses: idle for a month, and for each million changed rows. Pure: no clock, no network.

Invariant: whatever follows from topology, settings or metrics is taken from there; what nobody can know before it is
measured in an account is an assumption, which has a name and a reason here and is printed with the result.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from services.local.topology import Topology
from services.poller.poller import SIGNS_OF_LIFE
from shared.settings import Settings
from shared.telemetry import METRICS, Metric

MINUTE_SECONDS = 60.0
MILLION = 1_000_000
MB_PER_GB = 1024
BYTES_PER_GB = 10**9


@dataclass(frozen=True)
class Assumption:
    """A number that the result rests on, and why this one."""

    value: float
    reason: str


ASSUMPTIONS: Mapping[str, Assumption] = {
    "hours_a_month": Assumption(730, "a year's 8,760 over twelve"),
    "rows_a_batch_in_bulk": Assumption(
        50_000, "a page is full: the first backfill, or a bulk change (page_rows' default)"
    ),
    "rows_a_batch_in_trickle": Assumption(10, "what one feed gathers in a poll interval on a busy day"),
    "refused_seconds": Assumption(0.2, "an invocation of the poller that finds a live one reads one object and ends"),
    "transform_seconds_a_batch": Assumption(0.1, "one object read and one written, each asked over HTTPS"),
    "loader_seconds_a_batch": Assumption(0.15, "one object read and one transaction"),
    "seconds_a_thousand_rows": Assumption(
        0.1, "of transform and of loader each, as transform itself reckons (RESERVE_SECONDS); the loader is faster"
    ),
    "heartbeat_seconds": Assumption(0.1, "of transform and of loader each: a message on, a row written"),
    "reconciler_seconds_a_run": Assumption(5, "totesys is small: 1,000,000 rows without a difference take 2.5"),
    "compactor_seconds_a_run": Assumption(3, "it lists, and finds nothing due"),
    "receives_a_minute": Assumption(15, "of a queue without messages: Lambda asks with five, each for 20 s at a time"),
    "lists_of_the_compactor": Assumption(30, "a listing or two of each star table in a run"),
    "objects_of_the_reconciler": Assumption(3, "read in a run, and one written: checkpoint, progress"),
    "platform_bytes": Assumption(400, "that Lambda itself logs of each invocation: START, END, REPORT"),
    "line_bytes": Assumption(350, "of a line of our own log"),
    "metric_line_bytes": Assumption(800, "of a line with metrics in it"),
    "lines_a_batch": Assumption(3, "published, transformed, loaded"),
    "bytes_a_row": Assumption(100, "compressed, archive and processed together"),
    "causes_of_parking": Assumption(3, "of which the metric of parked messages counts each by itself"),
    "endpoint_zones": Assumption(2, "availability zones in which each interface endpoint stands"),
    "interface_endpoints": Assumption(2, "sqs and secretsmanager; S3's is a gateway, which costs nothing"),
}


@dataclass(frozen=True)
class Line:
    """One thing that is paid for: how much of it idle for a month, and for a million rows in bulk and in trickle."""

    what: str
    price: str
    idle: float = 0.0
    bulk: float = 0.0
    trickle: float = 0.0


def assumed(name: str) -> float:
    """An assumption's value."""
    return ASSUMPTIONS[name].value


def setting(name: str) -> float:
    """The default of a setting."""
    return float(Settings.model_fields[name].default)


def lines(topology: Topology) -> tuple[Line, ...]:
    """All that is paid for without options."""
    return (*_functions(topology), *_requests(topology), *_kept(topology), *_watched(topology))


def options(topology: Topology) -> tuple[Line, ...]:
    """What is paid for on top, where it is chosen or happens."""
    busy = sum(_series(metric, topology) for metric in METRICS) - idle_metrics()
    hours = assumed("hours_a_month") * assumed("endpoint_zones") * assumed("interface_endpoints")
    encrypted = sum(line.idle for line in _requests(topology) if line.price.startswith("s3_"))
    return (
        Line("metrics at the most: every feed has rows, is late and has faults, in every hour", "metric_month", busy),
        Line("customer-managed key", "key_month", 1),
        Line("its use, were every request of S3 to ask for it (bucket keys save nearly all)", "key_request", encrypted),
        Line("VPC: interface endpoints", "endpoint_hour", hours),
    )


def idle_metrics() -> int:
    """Metrics that are emitted though no row changes: what ages, of no feed by itself, and the heartbeat."""
    ageing = {"as_of_age_seconds", "look_back_seconds", "heartbeat_age_seconds"}
    return sum(len(metric.services) for metric in METRICS if metric.name in ageing)


def alarms(topology: Topology) -> int:
    """Alarms over one metric of one resource each."""
    return sum(len(topology.alarmed(name)) for name in topology.alarms)


def severities(topology: Topology) -> int:
    """Alarms over alarms: one for each severity."""
    return len({alarm.severity for alarm in topology.alarms.values()})


def month_minutes() -> float:
    """Minutes of a month."""
    return assumed("hours_a_month") * 60


def invocations(topology: Topology, function: str) -> float:
    """How often a schedule, or a heartbeat for each `heartbeat_seconds`, invokes a function in a month."""
    if function in topology.schedules:
        return month_minutes() / topology.schedules[function].every_minutes
    return beats()


def beats() -> float:
    """Heartbeats of a month."""
    return month_minutes() * MINUTE_SECONDS / setting("heartbeat_seconds")


def lives(topology: Topology) -> float:
    """Invocations of a month in which the poller polls; in those between it finds itself alive."""
    period_seconds = topology.schedules["poller"].every_minutes * MINUTE_SECONDS
    life_seconds = topology.poll_lifetime_seconds("poller") + topology.rules.handover_seconds
    return invocations(topology, "poller") / (life_seconds / period_seconds)


def idle_seconds(topology: Topology) -> Mapping[str, float]:
    """Seconds each function runs in an idle month."""
    living = lives(topology)
    refused = invocations(topology, "poller") - living
    return {
        "poller": living * topology.poll_lifetime_seconds("poller") + refused * assumed("refused_seconds"),
        "transform": beats() * assumed("heartbeat_seconds"),
        "loader": beats() * assumed("heartbeat_seconds"),
        "reconciler": invocations(topology, "reconciler") * assumed("reconciler_seconds_a_run"),
        "compactor": invocations(topology, "compactor") * assumed("compactor_seconds_a_run"),
    }


def batches(rows_a_batch: float) -> float:
    """Change batches that a million rows come in."""
    return MILLION / rows_a_batch


def _series(metric: Metric, topology: Topology) -> int:
    """Time series of a metric, each of which is paid for: the service's, and one for each value of its dimension."""
    feeds = len(topology.feeds.loaded) + ("poller" in metric.services) * len(topology.feeds.archived)
    values = {None: 0, "feed": feeds, "cause": int(assumed("causes_of_parking"))}
    return len(metric.services) * (1 + values[metric.dimension])


def _functions(topology: Topology) -> Iterator[Line]:
    idle = idle_seconds(topology)
    for name, function in topology.functions.items():
        gb = function.memory_mb / MB_PER_GB
        bulk, trickle = (_busy_seconds(name, rows) * gb for rows in _sizes())
        yield Line(f"{name}, {function.memory_mb} MB", "lambda_gb_second", idle[name] * gb, bulk, trickle)


def _sizes() -> tuple[float, float]:
    return assumed("rows_a_batch_in_bulk"), assumed("rows_a_batch_in_trickle")


def _busy_seconds(function: str, rows_a_batch: float) -> float:
    """Seconds a consumer works at a million rows, each batch in an invocation of its own; others take no longer."""
    if function not in ("transform", "loader"):
        return 0.0
    of_rows = MILLION / 1000 * assumed("seconds_a_thousand_rows")
    return batches(rows_a_batch) * assumed(f"{function}_seconds_a_batch") + of_rows


def _requests(topology: Topology) -> Iterator[Line]:
    """Requests of an idle month, and of batches: each is stored twice, read three times, sent and received twice."""
    bulk, trickle = map(batches, _sizes())
    all_invocations = sum(invocations(topology, name) for name in topology.functions)
    yield Line("invocations", "lambda_request", all_invocations, 2 * bulk, 2 * trickle)
    scheduled = sum(invocations(topology, name) for name in topology.schedules)
    yield Line("schedules", "scheduler_invocation", scheduled)
    runs = invocations(topology, "reconciler")
    yield Line(
        "checkpoint, archive, processed: written and listed",
        "s3_write",
        checkpoint_moves(topology) + _listings(topology) + runs,
        3 * bulk,
        3 * trickle,
    )
    reads = invocations(topology, "poller") + runs * assumed("objects_of_the_reconciler")
    yield Line("checkpoint, archive, processed: read", "s3_read", reads, 3 * bulk, 3 * trickle)
    empty = len(topology.queues) * assumed("receives_a_minute") * month_minutes()
    yield Line("queues", "sqs_request", empty + 2 * len(topology.queues) * beats(), 6 * bulk, 6 * trickle)
    yield Line("secrets read", "secret_read", len(topology.secrets) * runs)


def checkpoint_moves(topology: Topology) -> float:
    """Each poll moves it, unless one did within a third of the lease; each heartbeat, too; each life three times."""
    every_seconds = max(setting("poll_interval_seconds"), setting("lease_seconds") / SIGNS_OF_LIFE)
    return month_minutes() * MINUTE_SECONDS / every_seconds + beats() + 3 * lives(topology)


def _listings(topology: Topology) -> float:
    """A new life looks in every feed's archive for what is not covered; the compactor in every star table."""
    feeds = len(topology.feeds.loaded) + len(topology.feeds.archived)
    return lives(topology) * feeds + invocations(topology, "compactor") * assumed("lists_of_the_compactor")


def _kept(topology: Topology) -> Iterator[Line]:
    gigabytes = MILLION * assumed("bytes_a_row") / BYTES_PER_GB
    yield Line("rows kept, for each month that they are", "s3_gb_month", 0.0, gigabytes, gigabytes)
    yield Line("secrets", "secret_month", len(topology.secrets))


def _watched(topology: Topology) -> Iterator[Line]:
    """Alarms, metrics, dashboard, and the log."""
    yield Line("alarms", "alarm_month", alarms(topology))
    yield Line("composite alarms", "composite_month", severities(topology))
    yield Line("metrics of our own", "metric_month", idle_metrics())
    yield Line("dashboard", "dashboard_month", 1)
    gb = _idle_log_bytes(topology) / BYTES_PER_GB
    bulk, trickle = (batches(rows) * _log_bytes_a_batch() / BYTES_PER_GB for rows in _sizes())
    months = topology.platform.log_retention_days / 30
    yield Line("log written", "log_gb", gb, bulk, trickle)
    yield Line(
        f"log kept for {topology.platform.log_retention_days} days",
        "log_gb_month",
        *(size * months for size in (gb, bulk, trickle)),
    )


def _idle_log_bytes(topology: Topology) -> float:
    platform = sum(invocations(topology, name) for name in topology.functions) * assumed("platform_bytes")
    metrics = (lives(topology) + beats()) * assumed("metric_line_bytes")
    return platform + metrics + beats() * assumed("line_bytes")


def _log_bytes_a_batch() -> float:
    """Two invocations, a line for each stage, and the loader's metrics."""
    ours = assumed("lines_a_batch") * assumed("line_bytes") + assumed("metric_line_bytes")
    return 2 * assumed("platform_bytes") + ours
