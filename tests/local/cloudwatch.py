"""A metric alarm as CloudWatch evaluates it, written anew from its documentation: each minute, over whole periods.

What it leaves out: CloudWatch looks a little further back where data are missing, so a real alarm may come a minute or
two later than here, and M out of N.
"""

from collections.abc import Mapping, Sequence

from services.local.alarms import MetricAlarm

Series = Mapping[int, Sequence[float]]
"""Minute -> the values of that minute; a minute that is not there has none."""
STATISTICS = {"Maximum": max, "Minimum": min, "Sum": sum}


def state(alarm: MetricAlarm, series: Series, minute: int) -> str:
    """ALARM or OK at the end of a minute."""
    length = alarm.period_seconds // 60
    ends = [minute - length * back for back in range(alarm.periods)]
    return "ALARM" if all(_breaches(alarm, series, range(end - length + 1, end + 1)) for end in ends) else "OK"


def minutes_in_alarm(alarm: MetricAlarm, series: Series, minutes: range) -> list[int]:
    """When it is in ALARM; before the first of these minutes nothing was measured, so that is not asked."""
    first = minutes.start + alarm.periods * alarm.period_seconds // 60
    return [minute for minute in range(first, minutes.stop) if state(alarm, series, minute) == "ALARM"]


def _breaches(alarm: MetricAlarm, series: Series, period: range) -> bool:
    values = [value for minute in period for value in series.get(minute, ())]
    if not values:
        return alarm.missing_data == "breaching"
    value = STATISTICS[alarm.statistic](values)
    return value > alarm.threshold if alarm.comparison == "GreaterThanThreshold" else value < alarm.threshold
