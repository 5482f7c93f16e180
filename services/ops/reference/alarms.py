"""The page of the alarms: each with its threshold, what its mail says, and the section of the runbook. Pure."""

from services.local.alarms import KINDS, MISSING, when
from services.local.topology import Topology
from services.ops.contracts.documents.text import table

HEAD = """\
# Alarms

Described once, in `terraform/topology.yaml`, and deployed from there. How they come by mail, and what the two
severities mean, is said in the [runbook](../operations.md#how-alarms-come).
"""


def page(described: Topology) -> str:
    """The whole page: all at a glance, then each."""
    rows = [
        (f"[`{name}`](#{name})", alarm.severity, KINDS[alarm.over], when(alarm))
        for name, alarm in described.alarms.items()
    ]
    overview = table(("alarm", "severity", "one for each", "when"), rows)
    return "\n".join((HEAD, overview, *(_section(described, name) for name in described.alarms)))


def _section(described: Topology, name: str) -> str:
    alarm = described.alarms[name]
    facts = table(
        ("what", "value"),
        (
            ("severity", alarm.severity),
            ("one for each", KINDS[alarm.over]),
            ("rings when", when(alarm)),
            ("where nothing is measured", MISSING[alarm.missing_data]),
            ("what to do", f"[runbook: {name}](../operations.md#{name})"),
        ),
    )
    return f"## {name}\n\n{alarm.runbook}\n\n{facts}"
