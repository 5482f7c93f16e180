"""`python heartbeat.py PREFIX --within-seconds N`: wait until a heartbeat has come through every stage of a deployment.

The loader measures it in CloudWatch, so this needs no way to the databases. Invariant: it ends, within the time given;
only a heartbeat that was loaded after the wait began counts. Exit 0: one came; 1: none did.
"""

import argparse
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

LOOK_EVERY_SECONDS = 20.0
"""CloudWatch shows a metric out of a log about a minute after it was written."""


def came(cloudwatch: Any, prefix: str, since: datetime, now: datetime) -> bool:
    """Whether the loader has measured a heartbeat in a minute that began after `since`."""
    found = cloudwatch.get_metric_statistics(
        Namespace=prefix,
        MetricName="heartbeat_age_seconds",
        Dimensions=[{"Name": "service", "Value": "loader"}],
        StartTime=since - timedelta(minutes=1),
        EndTime=now + timedelta(minutes=1),
        Period=60,
        Statistics=["Maximum"],
    )
    return any(point["Timestamp"] >= since for point in found["Datapoints"])


def wait(look: Callable[[datetime, datetime], bool], *, within_seconds: float, clock: Any = time) -> bool:
    """Look again and again until it is true or the time is over; `look` takes when the wait began, and now."""
    began = datetime.fromtimestamp(clock.time(), UTC)
    while True:
        now = datetime.fromtimestamp(clock.time(), UTC)
        if look(began, now):
            return True
        if (now - began).total_seconds() + LOOK_EVERY_SECONDS > within_seconds:
            return False
        clock.sleep(LOOK_EVERY_SECONDS)


def main() -> int:
    """Wait, and say how it ended."""
    import boto3

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("prefix", help="of the deployment's names, such as totes-prod")
    parser.add_argument("--within-seconds", type=float, required=True)
    asked = parser.parse_args()
    cloudwatch = boto3.client("cloudwatch")
    if wait(lambda since, now: came(cloudwatch, asked.prefix, since, now), within_seconds=asked.within_seconds):
        print(f"{asked.prefix}: a heartbeat came through every stage.")
        return 0
    print(
        f"{asked.prefix}: expected a heartbeat within {asked.within_seconds:.0f} s and found none: see `totes --env "
        f"{asked.prefix.removeprefix('totes-')} doctor` and docs/operations.md#heartbeat_missing.",
        file=sys.stderr,
    )
    return 1


if __name__ == "__main__":
    sys.exit(main())
