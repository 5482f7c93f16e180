"""Reads log lines in CloudWatch's embedded metric format, as CloudWatch does."""

import json


def metrics_of(line):
    """(metric, service, feed or cause, '' where the metric is the service's) -> value; nothing for another line."""
    try:
        read = json.loads(line)
    except ValueError:
        return {}
    found = {}
    for told in read.get("_aws", {}).get("CloudWatchMetrics", []):
        assert told["Namespace"] == "totes"
        for dimensions in told["Dimensions"]:
            named = [read[name] for name in dimensions if name != "service"]
            for metric in told["Metrics"]:
                [value] = read[metric["Name"]]
                found[metric["Name"], read["service"], *(named or [""])] = value
    return found


def metrics_in(printed):
    """Of all lines that were printed; a metric that was emitted twice is a mistake."""
    found = {}
    for line in printed.splitlines():
        for name, value in metrics_of(line).items():
            found.setdefault(name, []).append(value)
    return found
