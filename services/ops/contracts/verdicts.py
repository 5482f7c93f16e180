"""Whom a change of a contract would break: a sentence for each change, version and direction. Pure.

BACKWARD: today's code reads what a former version wrote. FORWARD: those who know a former version read what is written
today. Invariant: whatever the comparison refuses has a verdict; it is BREAKING unless something of ours bridges it, and
nothing bridges a secret that is one no longer.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from services.ops.contracts.changes import Change, ChangeKind
from services.ops.contracts.compatibility import compare
from services.ops.contracts.published import Kind, Published


class Direction(StrEnum):
    """Who reads whom."""

    BACKWARD = "backward"
    FORWARD = "forward"


class Severity(StrEnum):
    """Whether somebody breaks, would but for a step or a wait, or does not notice."""

    BREAKING = "breaking"
    BRIDGED = "bridged"
    HARMLESS = "harmless"


@dataclass(frozen=True)
class Verdict:
    """What one change since one former version means in one direction."""

    contract: str
    direction: Direction
    severity: Severity
    sentence: str


def judge(former: Mapping[int, Published], today: Published, steps: frozenset[int]) -> tuple[Verdict, ...]:
    """Today's contract against every former version; `steps`: the versions from which the code leads on to the next."""
    return tuple(
        verdict
        for version, each in sorted(former.items())
        for verdict in _against(each, today, stepped=_leads_on(version, today.version, steps))
    )


def _leads_on(version: int, today: int, steps: frozenset[int]) -> bool:
    """Whether there is a step at every version on the way: one that is missing leaves what came before it behind."""
    return version < today and steps >= set(range(version, today))


def _against(former: Published, today: Published, *, stepped: bool) -> Iterator[Verdict]:
    noun = "column" if today.kind is Kind.STAR else "field"
    made = compare(former.written, today.written, noun=noun)
    backward = compare(former.written, today.read, noun=noun)
    forward = compare(today.written, former.read, noun=noun)
    for direction, found in ((Direction.BACKWARD, backward), (Direction.FORWARD, forward)):
        for change, refused in _told(made, found):
            yield _verdict(direction, _Case(former, today, change, refused, stepped))


def _told(made: Sequence[Change], found: Sequence[Change]) -> Iterable[tuple[Change, bool]]:
    """Each change as it was made, and whether one direction refuses it; what that direction alone tells comes last."""
    refused = {(change.path, change.kind): change for change in found if not change.allowed}
    for change in made:
        alone = refused.pop((change.path, change.kind), None)
        if not _says_its_version(change):
            yield change, alone is not None
    for change in refused.values():
        yield change, True


def _says_its_version(change: Change) -> bool:
    """A message's version stands in it, where it is another in each."""
    return change.path == ("dataschema",) and change.kind is ChangeKind.DEFAULT


@dataclass(frozen=True)
class _Case:
    """One change in one direction. `stepped`: steps lead on from the former version to today's."""

    former: Published
    today: Published
    change: Change
    refused: bool
    stepped: bool

    @property
    def version(self) -> str:
        return f"v{self.former.version}"

    @property
    def added(self) -> bool:
        """Whether a change of presence is an addition: a column that went is no property of today's."""
        return self.change.path[-1] in self.today.read["properties"]

    @property
    def nullable(self) -> bool:
        column = self.today.read["properties"][self.change.path[-1]]
        return all(change.allowed for change in compare({"type": "null"}, column))


Consequence = tuple[Severity, str]


def _verdict(direction: Direction, case: _Case) -> Verdict:
    severity, whom = _CONSEQUENCES[case.today.kind, direction](case)
    title = case.today.title
    return Verdict(title, direction, severity, f"{title}: {case.change.sentence}: {whom}")


def _message_backward(case: _Case) -> Consequence:
    if not case.refused:
        return Severity.HARMLESS, f"messages of {case.version} are read as before"
    if case.stepped:
        return Severity.BRIDGED, f"messages of {case.version} are brought up to it by their step"
    return Severity.BREAKING, f"messages of {case.version} in the dead-letter queue could not be replayed"


_READERS = {"change_batch": "a transform", "load_batch": "a loader", "heartbeat": "a transform or loader"}


def _message_forward(case: _Case) -> Consequence:
    reader = f"{_READERS.get(case.today.name, 'a consumer')} of {case.version}"
    if not case.refused:
        return Severity.HARMLESS, f"{reader} reads it as before"
    return Severity.BREAKING, f"{reader}, still running during a rollout, could not read it"


_PLACED = frozenset({ChangeKind.PRESENCE, ChangeKind.ORDER})
"""The archive tells columns by their place, and their names are the contract's: any other is another contract."""
_SOURCE_BACKWARD = {
    ChangeKind.RULE: "rows archived under {version} may break it and would be quarantined at a rebuild",
    ChangeKind.ORDER: "rows archived under {version}, told by their place, would be read into the wrong fields",
}


def _source_backward(case: _Case) -> Consequence:
    kind = case.change.kind
    if kind is ChangeKind.SECRECY and case.refused:
        return Severity.BREAKING, f"values archived under {case.version}, which never left the archive, would"
    if not case.refused and kind not in _PLACED:
        return Severity.HARMLESS, f"rows archived under {case.version} are read as before"
    if case.stepped:
        return Severity.BRIDGED, f"rows archived under {case.version} are brought up to it by their step"
    whom = _SOURCE_BACKWARD.get(kind, "rows archived under {version} could not be rebuilt")
    return Severity.BREAKING, whom.format(version=case.version)


def _source_forward(case: _Case) -> Consequence:
    """A transform tells a newer contract by its version alone."""
    if not case.refused and case.change.kind not in _PLACED:
        return Severity.HARMLESS, f"a transform of {case.version} reads new rows as before"
    if case.today.version > case.former.version:
        return Severity.BRIDGED, f"a transform of {case.version} hands new batches back until its code is deployed"
    return Severity.BREAKING, f"a transform that still runs takes new batches for {case.version} and would refuse them"


def _star_backward(case: _Case) -> Consequence:
    """The loader takes columns by name, fills one that is missing with NULL, and leaves out one it does not know."""
    batches, kind = f"load batches of {case.version}", case.change.kind
    if kind is ChangeKind.PRESENCE and not case.added:
        return Severity.HARMLESS, f"the loader leaves it out of {batches}"
    if kind is ChangeKind.PRESENCE and case.nullable:
        return Severity.HARMLESS, f"the loader fills it with NULL for {batches}"
    if kind is ChangeKind.ORDER or not case.refused:
        return Severity.HARMLESS, f"{batches} are loaded as before"
    return Severity.BREAKING, f"{batches}, waiting or in the dead-letter queue, could not be loaded"


_STAR_FORWARD = {
    ChangeKind.ORDER: "whoever copies the table by position would take one column for another",
    ChangeKind.NULL: "analysts who count on a value there would miss rows",
    ChangeKind.REFERENCE: "analysts who join over it would miss rows",
    ChangeKind.TYPE: "analysts, views and dashboards that read it by its type would fail",
}


def _star_forward(case: _Case) -> Consequence:
    """Analysts read by name and type; `SELECT *` by place, which does not matter to what was there before."""
    kind = case.change.kind
    if kind is ChangeKind.PRESENCE and not case.added:
        return Severity.BREAKING, f"analysts who select it{_views_of(case.today)} would fail"
    if not case.refused and kind is not ChangeKind.ORDER:
        return Severity.HARMLESS, "what analysts select is as before"
    return Severity.BREAKING, _STAR_FORWARD.get(kind, "analysts, views and dashboards that count on it would fail")


def _views_of(table: Published) -> str:
    """A fact is read through two views that name its columns."""
    feed = table.name.removeprefix("fact_")
    return f", and the views current_{feed} and history_{feed}," if feed != table.name else ""


_CONSEQUENCES: Mapping[tuple[Kind, Direction], Callable[[_Case], Consequence]] = {
    (Kind.MESSAGE, Direction.BACKWARD): _message_backward,
    (Kind.MESSAGE, Direction.FORWARD): _message_forward,
    (Kind.SOURCE, Direction.BACKWARD): _source_backward,
    (Kind.SOURCE, Direction.FORWARD): _source_forward,
    (Kind.STAR, Direction.BACKWARD): _star_backward,
    (Kind.STAR, Direction.FORWARD): _star_forward,
}
