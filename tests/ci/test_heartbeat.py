"""The smoke test of a deployment waits for a heartbeat that came after it began, and not for ever."""

from datetime import UTC, datetime, timedelta

from tests.ci.test_audit import load

heartbeat = load("heartbeat")


class Clock:
    def __init__(self) -> None:
        self.seconds = 1_000_000.0

    def time(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds


class CloudWatch:
    """Shows the points given, of the metric that the loader emits."""

    def __init__(self, *at: datetime) -> None:
        self.at = at

    def get_metric_statistics(self, **asked):
        assert (asked["Namespace"], asked["MetricName"]) == ("totes-prod", "heartbeat_age_seconds")
        assert asked["Dimensions"] == [{"Name": "service", "Value": "loader"}]
        shown = [at for at in self.at if asked["StartTime"] <= at <= asked["EndTime"]]
        return {"Datapoints": [{"Timestamp": at, "Maximum": 1.0} for at in shown]}


NOW = datetime(2026, 11, 25, 12, 0, 30, tzinfo=UTC)


def test_a_heartbeat_from_before_the_wait_does_not_count() -> None:
    older = CloudWatch(NOW - timedelta(seconds=30))
    newer = CloudWatch(NOW + timedelta(seconds=30))

    assert not heartbeat.came(older, "totes-prod", NOW, NOW + timedelta(minutes=2))
    assert heartbeat.came(newer, "totes-prod", NOW, NOW + timedelta(minutes=2))


def test_the_wait_ends_with_the_heartbeat() -> None:
    clock = Clock()

    assert heartbeat.wait(lambda since, now: now - since >= timedelta(seconds=60), within_seconds=300, clock=clock)
    assert clock.seconds == 1_000_060.0


def test_the_wait_ends_within_its_time_where_none_comes() -> None:
    clock = Clock()

    assert not heartbeat.wait(lambda since, now: False, within_seconds=300, clock=clock)
    assert clock.seconds <= 1_000_300.0
