"""Hold the models to what was released: nothing changed without a new version, and no version breaks anybody. Pure.

Invariant: every sentence names the contract, what changed, whom it breaks and what to do; no finding means that today's
code reads all that was ever written and former code reads what is written today.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import unified_diff
from enum import StrEnum

from services.ops.contracts.published import Kind, Published, Schema, steps
from services.ops.contracts.registry import Registry, lines
from services.ops.contracts.verdicts import Severity, Verdict, judge


class State(StrEnum):
    """How a model stands to what was released of it."""

    RELEASED = "released"
    UNRELEASED = "not released"
    CHANGED = "changed without a new version"
    BEHIND = "older than what was released"


@dataclass(frozen=True)
class Standing:
    """One contract of today: its state, the newest released version, and how today's is judged against all former."""

    today: Published
    state: State
    newest: int
    verdicts: tuple[Verdict, ...]
    diff: tuple[str, ...] = ()
    unmarked: tuple[str, ...] = ()
    """Columns of a star table that came after its first version and are not in `added`."""

    @property
    def breaking(self) -> tuple[Verdict, ...]:
        """The verdicts that nobody accepted."""
        return tuple(verdict for verdict in self.verdicts if verdict.severity is Severity.BREAKING)


def standings(
    registry: Registry, contracts: Sequence[Published], bridged: Mapping[str, frozenset[int]] | None = None
) -> tuple[Standing, ...]:
    """How each contract stands. `bridged`: the former versions that have a step, by title; else what the code has."""
    return tuple(
        _standing(registry, each, steps(each.title) if bridged is None else bridged[each.title]) for each in contracts
    )


def _standing(registry: Registry, today: Published, bridged: frozenset[int]) -> Standing:
    released = registry.versions(today.title)
    newest = max(released, default=0)
    state = state_of(today, released)
    former = {version: each for version, each in released.items() if state is State.CHANGED or version < today.version}
    return Standing(
        today,
        state,
        newest,
        judge(former, today, bridged),
        tuple(differences(released[newest], today)) if newest else (),
        _unmarked(released, today),
    )


def _unmarked(released: Mapping[int, Published], today: Published) -> tuple[str, ...]:
    if today.kind is not Kind.STAR or not released:
        return ()
    first = released[min(released)].written["x-columns"]
    return tuple(
        name for name in today.written["x-columns"] if name not in first and name not in today.written["x-added"]
    )


def state_of(today: Published, released: Mapping[int, Published]) -> State:
    """Whether this very version was released, and as it is."""
    if today.version < max(released, default=0):
        return State.BEHIND
    if today.version not in released:
        return State.UNRELEASED
    return State.RELEASED if released[today.version] == today else State.CHANGED


def sentences(
    found: Sequence[Standing], titles: Sequence[str], accepted: frozenset[str] = frozenset()
) -> Iterator[str]:
    """What is wrong, one sentence each; `titles`: every contract that was ever released."""
    for standing in found:
        yield from _wrong_with(standing)
        yield from (f"{each.sentence}." for each in standing.breaking if each.sentence not in accepted)
    known = {standing.today.title for standing in found}
    for title in titles:
        if title not in known:
            yield f"{title}: expected a model, found none: what was written under it could not be read any more."


def _wrong_with(standing: Standing) -> Iterator[str]:
    title, version = standing.today.title, standing.today.version
    if standing.unmarked:
        named = ", ".join(standing.unmarked)
        yield f"{title}: expected {named} in the table's `added`, found none: every row would become a new version."
    if standing.state is State.CHANGED:
        shown = "\n".join(f"    {line}" for line in standing.diff)
        yield f"{title} changed without a new version: {how_to_raise(standing.today)}\n{shown}"
    elif standing.state is State.UNRELEASED:
        yield f"{title}: expected v{version} to be released, found up to v{standing.newest}: `totes contracts release`."
    elif standing.state is State.BEHIND:
        yield f"{title}: expected v{standing.newest} or newer, as it was released, found v{version} in the code."


def how_to_raise(today: Published) -> str:
    """What a contributor does to make a change a new version."""
    following = today.version + 1
    if today.kind is Kind.MESSAGE:
        return (
            f"raise `version` to {following} in contracts/messages.py, with the step from {today.version} in `former`."
        )
    if today.name == "dim_date":
        return f"raise DATES_VERSION to {following} in services/ops/contracts/published.py."
    return (
        f"raise its feed's `contract` to {following} in contracts/feeds.py, with version {today.version} and the step "
        "from it in `former`."
    )


def differences(former: Published, today: Published) -> Iterator[str]:
    """What the written and the read schema say differently, as a diff of plain lines, those of both forms once."""
    seen: set[str] = set()
    for old, new in ((former.written, today.written), (former.read, today.read)):
        for line in changed_lines(old, new):
            if line not in seen:
                seen.add(line)
                yield line


def changed_lines(former: Schema, today: Schema) -> Iterator[str]:
    """Added and removed lines alone; the document's own name tells nothing new."""
    for line in unified_diff(_said(former), _said(today), n=0, lineterm=""):
        if not line.startswith(("---", "+++", "@@")):
            yield f"{line[0]} {line[1:]}"


def _said(schema: Schema) -> list[str]:
    return lines({key: value for key, value in schema.items() if key != "$id"})
