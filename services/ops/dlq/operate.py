"""What `totes dlq replay`, `purge` and `audit` are made of for one installation, and what they say. Light decisions.

Invariant: building it changes nothing; every number said is one that was counted.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.text import Text

from services.ops.audit import Action
from services.ops.dlq.browse import Browse
from services.ops.dlq.filters import Filter
from services.ops.dlq.places import Places
from services.ops.dlq.replay import Group, Plan, Source, Tally, Verdict
from services.ops.dlq.send_again import Archive, Messages, Rows, Run, Wanted
from services.ops.moments import shown
from services.ops.quarantine import PLACE, OpenObject
from services.ops.view import NOTHING, new_table
from shared.archive import Publisher

if TYPE_CHECKING:
    from services.ops.dlq.check import Checker


def wanted_of(chosen: Filter, cap: int, checker: "Checker | None") -> Wanted:
    """What the options ask for; with a checker only what would pass today."""
    if checker is None:
        return Wanted(chosen.matches, chosen.matches, cap=cap)

    def passing_rows(found: OpenObject) -> set[int]:
        verdicts = zip(found.rows, checker.rows(found.rows), strict=True)
        return {row.row.row for row, result in verdicts if result.passes}

    return Wanted(chosen.matches, chosen.matches, lambda message: checker.message(message).passes, passing_rows, cap)


def sources_of(places: Places, chosen: Filter, wanted: Wanted, run: Run) -> list[Source]:
    """Where a run looks: every dead-letter queue, since anything may come back to it, then the quarantine."""
    changes = places.queues["changes"].queue
    publisher = Publisher(places.objects, places.archive_bucket, changes)
    archive = Archive(places.objects, publisher, places.processed_bucket, changes)
    queues = [
        Messages(name, each.queue, partial(Browse, name, each.dead_letters), wanted, run, places.feeds)
        for name, each in places.queues.items()
    ]
    rows = Rows(archive, wanted, run, feeds=places.feeds, only=chosen.feeds or (None,))
    return [*(each.look for each in queues), *([rows.look] if chosen.looks_at(PLACE) else [])]


def looks_of(places: Places, chosen: Filter) -> list[Callable[[], Browse]]:
    """The dead-letter queues in which anything can be meant."""
    meant = ((name, each) for name, each in places.queues.items() if chosen.looks_at(name))
    return [partial(Browse, name, each.dead_letters) for name, each in meant]


def to_send(plan: Plan) -> int:
    """Messages and rows that are to be sent."""
    return sum(count for (_, verdict), count in plan.items() if verdict is Verdict.SEND)


@dataclass(frozen=True)
class Line:
    """One group of a plan."""

    group: Group
    counts: Mapping[Verdict, int]


def lines(plan: Plan) -> list[Line]:
    """The groups that are meant, in the order of place, feed and cause."""
    groups = {group for (group, verdict) in plan if verdict is not Verdict.NOT_MEANT}
    ordered = sorted(groups, key=lambda group: (group.place, group.feed or "", group.cause))
    return [Line(group, {verdict: plan.get((group, verdict), 0) for verdict in Verdict}) for group in ordered]


def plan_view(plan: Plan) -> RenderableType:
    """The plan for a person."""
    table = new_table("place", "feed", "cause", "to send", "capped", "still fail")
    for line in lines(plan):
        counts = (line.counts[verdict] for verdict in (Verdict.SEND, Verdict.REFUSED, Verdict.STILL_FAILS))
        names = (f" {line.group.place}", line.group.feed or NOTHING, line.group.cause)
        table.add_row(*(Text(name) for name in names), *(f"{number:,}" for number in counts))
    return table


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan for a program."""
    groups = [
        {
            "place": line.group.place,
            "feed": line.group.feed,
            "cause": line.group.cause,
            "to_send": line.counts[Verdict.SEND],
            "refused": line.counts[Verdict.REFUSED],
            "still_failing": line.counts[Verdict.STILL_FAILS],
        }
        for line in lines(plan)
    ]
    return {"to_send": to_send(plan), "groups": groups}


def sentences(tally: Tally) -> Iterator[str]:
    """What a run came to."""
    yield f"Sent {tally.sent:,}; {tally.failed_again:,} failed again."
    if tally.under_way:
        yield f"{tally.under_way:,} batches are still under way: totes status shows when the queues are empty."
    if tally.still_failing:
        yield f"Left {tally.still_failing:,} that would still fail."
    if tally.refused:
        more = ", …" if tally.refused > len(tally.refused_ids) else ""
        yield (
            f"Refused {tally.refused:,} that were replayed as often as --cap allows: "
            f"{', '.join(tally.refused_ids)}{more}."
        )
    if tally.unreadable:
        yield f"Left {tally.unreadable:,} rows whose archive object is gone or damaged."
    if tally.stopped:
        yield f"Stopped: {tally.stopped}"


def outcome_json(run: str, tally: Tally) -> str:
    """What a run came to, for a program."""
    found = {"run": run, **tally.counts(), "stopped": tally.stopped, "refused_ids": tally.refused_ids}
    return json.dumps(found, indent=2)


def audit_view(actions: Sequence[Action]) -> RenderableType:
    """The audit for a person: two lines an action, cut nowhere."""
    if not actions:
        return Text("Nothing was done in that time.")
    said = Text()
    for action in actions:
        record = action.last
        said.append(f"{shown(record.begun_at)}  {record.who}  ", style="dim")
        said.append(f"{record.action} {record.what}\n", style="bold")
        counts = ", ".join(f"{name} {number:,}" for name, number in record.counts.items() if number)
        why = f" (why: {record.why})" if record.why else ""
        said.append(f"  {action.outcome}{f' [{counts}]' if counts else ''}{why}\n")
    said.rstrip()
    return said


def audit_json(actions: Sequence[Action]) -> str:
    """The audit for a program."""
    found = [
        {
            **action.last.model_dump(mode="json", exclude={"at", "phase", "outcome"}),
            "ended_at": action.ended_at.isoformat() if action.ended_at else None,
            "outcome": action.outcome,
        }
        for action in actions
    ]
    return json.dumps({"actions": found}, indent=2)
