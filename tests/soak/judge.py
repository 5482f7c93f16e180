"""What the warehouse must show of a feed's journal, and what is wrong with what it shows. Pure: no clock or database.

A version is expected where some snapshot of the feed was certainly taken after its commit became visible and before
the next commit of its key did. Both are told by counts of ended transactions (journal.sql), which the source's own
transactions took, so no two clocks are compared and no tolerance is needed. Shares no code with the pipeline.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from operator import attrgetter
from typing import NamedTuple

INSERT, UPDATE, SILENT, DELETE, REINSERT = "insert", "update", "silent", "delete", "reinsert"
DELETED = "deleted"
"""How a history view says that a version ended because its row was gone."""


class Moment(NamedTuple):
    """A place in the order of the source's commits: which start of the server, and transactions ended since."""

    server: int
    revision: int


NEVER = Moment(2**31, 0)


@dataclass(frozen=True)
class Change:
    """A committed change: every snapshot from `after` on shows it, none up to `before` does."""

    key: int
    version: int
    operation: str
    before: Moment
    after: Moment


@dataclass(frozen=True)
class Version:
    """A version as a history view shows it; `ended_by` is None while it is current."""

    key: int
    version: int
    ended_by: str | None


@dataclass
class Verdict:
    """Counts, and a sentence for each thing that is wrong."""

    expected: int = 0
    found: int = 0
    shown: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    invented: list[str] = field(default_factory=list)


def judge(
    name: str,
    changes: Iterable[Change],
    shown: Iterable[Version],
    *,
    polled: Iterable[Moment],
    scanned: Iterable[Moment],
) -> Verdict:
    """Judge a fact. `polled`: snapshots in which ordinary changes were read, `scanned`: silent updates too."""
    verdict = Verdict()
    polled, scanned = sorted(polled), sorted(scanned)
    journal = _by_key(sorted(changes, key=attrgetter("key", "version")))
    held = _by_key(sorted(shown, key=attrgetter("key")))
    for key in sorted(journal.keys() | held.keys()):
        place = f"{name} {key}"
        committed, versions = journal.get(key, []), held.get(key, [])
        wanted = _expected(committed, polled, scanned)
        there = {one.version for one in versions}
        verdict.shown += len(versions)
        verdict.expected += len(wanted)
        verdict.found += len(wanted & there)
        verdict.lost.extend(f"{place}: version {version} is missing" for version in sorted(wanted - there))
        _judge_end(place, committed, versions, verdict)
        _judge_order(place, committed, versions, verdict)
    return verdict


def _by_key(ordered: Iterable[Change | Version]) -> dict[int, list]:
    return {key: list(group) for key, group in groupby(ordered, key=attrgetter("key"))}


def _expected(committed: Sequence[Change], polled: Sequence[Moment], scanned: Sequence[Moment]) -> set[int]:
    """Versions that a snapshot must have shown."""
    ends = [*(change.before for change in committed), NEVER][1:]
    return {
        change.version
        for change, end in zip(committed, ends, strict=True)
        if change.operation != DELETE
        and _one_between(change.after, end, scanned if change.operation == SILENT else polled)
    }


def _one_between(first: Moment, last: Moment, moments: Sequence[Moment]) -> bool:
    at = bisect_left(moments, first)
    return at < len(moments) and moments[at] <= last


def _judge_end(place: str, committed: Sequence[Change], versions: Sequence[Version], verdict: Verdict) -> None:
    """The last version shown is the last one committed, or ended by its deletion; a row never seen may be gone."""
    if not committed:
        return
    last, end = committed[-1], versions[-1] if versions else None
    if last.operation == DELETE:
        if end is not None and end.ended_by != DELETED:
            verdict.lost.append(f"{place}: its deletion is missing")
    elif end is None or (end.version, end.ended_by) != (last.version, None):
        verdict.lost.append(f"{place}: expected to end in version {last.version}, found {end}")


def _judge_order(place: str, committed: Sequence[Change], versions: Sequence[Version], verdict: Verdict) -> None:
    """Versions come in the order of their commits, each once, and nothing that was never committed."""
    known = {change.version for change in committed if change.operation != DELETE}
    deletions = [change.version for change in committed if change.operation == DELETE]
    verdict.invented.extend(
        f"{place}: version {one.version} was never committed" for one in versions if one.version not in known
    )
    next_versions = [*(one.version for one in versions), NEVER.server][1:]
    for one, end in zip(versions, next_versions, strict=True):
        if one.ended_by == DELETED and not any(one.version < version < end for version in deletions):
            verdict.invented.append(f"{place}: version {one.version} was never deleted")
    for one, other in pairwise(versions):
        if other.version <= one.version:
            verdict.doubled.append(f"{place}: version {other.version} comes after {one.version}")


@dataclass(frozen=True)
class Member:
    """A dimension's row: its version, and whether the warehouse knows it as deleted."""

    version: int
    deleted: bool


def judge_last(name: str, changes: Iterable[Change], members: Mapping[int, Member]) -> Verdict:
    """Judge a dimension, which keeps the last state alone."""
    verdict = Verdict(shown=len(members))
    journal = _by_key(sorted(changes, key=attrgetter("key", "version")))
    for key, committed in journal.items():
        last, member = committed[-1], members.get(key)
        if last.operation == DELETE:
            if member is not None and not member.deleted:
                verdict.lost.append(f"{name} {key}: its deletion is missing")
        elif member != Member(last.version, deleted=False):
            verdict.lost.append(f"{name} {key}: expected version {last.version}, found {member}")
    verdict.invented.extend(f"{name} {key}: never committed" for key in members.keys() - journal.keys())
    return verdict
