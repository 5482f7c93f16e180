"""An emulated account that writes down who called what: each function names itself in its user agent.

The emulator can also refuse what a role does not allow (AUTH), and then refuses every call to a queue, because it is
reached without TLS and the queues' policies forbid that, as they must. So rights are compared with the trail instead.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from services.local.emulator import Emulator

ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "PutObject": "s3:PutObject",
    "DeleteObject": "s3:DeleteObject",
    "ListObjects": "s3:ListBucket",
    "ListObjectsV2": "s3:ListBucket",
    "GetQueueAttributes": "sqs:GetQueueAttributes",
    "ReceiveMessage": "sqs:ReceiveMessage",
    "SendMessage": "sqs:SendMessage",
    "SendMessageBatch": "sqs:SendMessage",
    "DeleteMessage": "sqs:DeleteMessage",
    "DeleteMessageBatch": "sqs:DeleteMessage",
    "ChangeMessageVisibility": "sqs:ChangeMessageVisibility",
    "ChangeMessageVisibilityBatch": "sqs:ChangeMessageVisibility",
    "GetSecretValue": "secretsmanager:GetSecretValue",
}
"""What an API call needs; a call that is not here fails the test, which then has to say."""
KEPT_EVENTS = 1_000_000
LOOK = "before-call.cloudtrail.LookupEvents"
PAGE = 50
"""What one look at the trail gives at most."""


class RecordingEmulator(Emulator):
    """The embedded stack's emulator with every call recorded."""

    def _environment(self) -> Mapping[str, str]:
        return {
            **super()._environment(),
            "CLOUDTRAIL_RECORDING": "1",
            "CLOUDTRAIL_MAX_EVENTS": str(KEPT_EVENTS),
        }


def calls(trail: Any, functions: Mapping[str, str], since: float = 0.0) -> dict[str, dict[str, int]]:
    """Function -> the actions it used -> how often; `functions` tells the deployed name of each.

    `since`: seconds since 1970. A look at the whole trail reads tens of thousands of events.
    """
    found: dict[str, dict[str, int]] = {function: {} for function in functions}
    marks = {f"app/{name}": function for function, name in functions.items()}
    for event in events(trail, since):
        told = json.loads(event["CloudTrailEvent"])
        function = next((marks[word] for word in told["userAgent"].split() if word in marks), None)
        if function is not None:
            action = ACTIONS[event["EventName"]]
            found[function][action] = found[function].get(action, 0) + 1
    return found


def events(trail: Any, since: float = 0.0) -> Iterator[Mapping[str, Any]]:
    """Every event recorded since then, the newest first, once each.

    The trail knows no second page, so each look ends where the last one began. The SDK would send that moment in whole
    seconds, in which there are more events than a look gives; hence it is put into the request as it is.
    """
    between: dict[str, float] = {"StartTime": since}

    def exactly(params: dict[str, Any], **_: Any) -> None:
        params["body"] = json.dumps({"MaxResults": PAGE, **between}).encode()

    trail.meta.events.register(LOOK, exactly)
    try:
        seen: set[str] = set()
        while fresh := [event for event in trail.lookup_events()["Events"] if event["EventId"] not in seen]:
            yield from fresh
            seen |= {event["EventId"] for event in fresh}
            between["EndTime"] = fresh[-1]["EventTime"].timestamp()
    finally:
        trail.meta.events.unregister(LOOK, exactly)
