"""What `totes dlq list` and `check` say: to a person at 80 columns, to a program as one JSON object. Pure.

Invariant: both say the same numbers, and every entry is counted once. What came from a message is printed without its
control characters: whoever can park one must not move an operator's cursor.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from rich.console import Group as Parts
from rich.console import RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from services.ops.dlq.entries import Lying
from services.ops.dlq.filters import PLACES
from services.ops.dlq.listing import Group, Kind, grouped, kind_of
from services.ops.quarantine import PLACE
from services.ops.view import BAD, GOOD, HOUR, MINUTE, NOTHING, QUIET, new_table

if TYPE_CHECKING:
    from services.ops.dlq.check import Result

DAY = 24 * HOUR
NOTHING_THERE = "Nothing is parked, and no quarantined row is open."
NOTHING_MATCHES = "Nothing that is parked or quarantined matches."
NOT_ALL = "A dead-letter queue holds more than one look can: there is more than is shown."
REASON_CHARACTERS = 300
"""Of a reason in a list; `show` has it whole."""
HOW_TO_GO_ON = "`totes dlq show ID` shows one whole; `totes dlq check` says what would pass now."


@dataclass(frozen=True)
class Failing:
    """How many would fail for one cause, and why the first of them would."""

    cause: str
    count: int
    reason: str


@dataclass(frozen=True)
class Verdicts:
    """What a check says of one group. `note`: what to expect of one that passes."""

    passes: int = 0
    note: str = ""
    failing: tuple[Failing, ...] = ()

    @property
    def fails(self) -> int:
        """How many would still fail."""
        return sum(each.count for each in self.failing)

    def with_one(self, result: "Result") -> "Verdicts":
        """These and one more."""
        if result.passes:
            return Verdicts(self.passes + 1, self.note or result.reason, self.failing)
        known = next((each for each in self.failing if each.cause == result.cause), None)
        if known is None:
            return Verdicts(self.passes, self.note, (*self.failing, Failing(result.cause, 1, result.reason)))
        more = Failing(known.cause, known.count + 1, known.reason)
        return Verdicts(self.passes, self.note, tuple(more if each is known else each for each in self.failing))


@dataclass(frozen=True)
class Report:
    """Groups, ordered; with verdicts, one a group, where it is a check's. `complete`: nothing was left unlooked at."""

    groups: Sequence[Group]
    verdicts: Sequence[Verdicts] = field(default=())
    complete: bool = True

    @property
    def parked(self) -> int:
        """Messages."""
        return sum(group.count for group in self.groups if group.kind.queue != PLACE)

    @property
    def quarantined(self) -> int:
        """Rows."""
        return sum(group.count for group in self.groups if group.kind.queue == PLACE)

    @property
    def fails(self) -> int:
        """What would still fail."""
        return sum(each.fails for each in self.verdicts)


def report_of(results: "Iterable[tuple[Lying, Result]]", complete: Callable[[], bool] = lambda: True) -> Report:
    """A check's report; memory holds groups, not entries. `complete` is asked when the results are gone through."""
    verdicts: dict[Kind, Verdicts] = {}

    def counted() -> Iterator[Lying]:
        for entry, result in results:
            kind = kind_of(entry)
            verdicts[kind] = verdicts.get(kind, Verdicts()).with_one(result)
            yield entry

    groups = grouped(counted())
    return Report(groups, [verdicts[group.kind] for group in groups], complete())


def as_json(report: Report) -> dict[str, Any]:
    """All of it, moments in RFC 3339."""
    groups = [_group_json(group) for group in report.groups]
    for found, verdicts in zip(groups, report.verdicts, strict=False):
        failing = [asdict(each) for each in verdicts.failing]
        found |= {"passes": verdicts.passes, "fails": verdicts.fails, "note": verdicts.note, "failing": failing}
    totals = {"parked": report.parked, "quarantined": report.quarantined, "complete": report.complete}
    if report.verdicts:
        totals |= {"passes": report.parked + report.quarantined - report.fails, "fails": report.fails}
    return {**totals, "groups": groups}


def as_json_text(report: Report) -> str:
    """One JSON object."""
    return json.dumps(as_json(report), indent=2)


def list_view(report: Report, now: datetime, *, filtered: bool) -> RenderableType:
    """`totes dlq list`."""
    if not report.groups:
        return Text(NOTHING_MATCHES if filtered else NOTHING_THERE)
    parts: list[RenderableType] = []
    for place, numbered in _places(report):
        parts += [Text(_heading(place, [group for _, group in numbered]), style="bold"), _list_table(numbered, now)]
        parts += [_numbered(number, f"{group.example}  {group.reason}") for number, group in numbered]
        parts.append(Text())
    return Parts(*parts, *_endings(report), Text(HOW_TO_GO_ON, style=QUIET))


def check_view(report: Report, *, filtered: bool) -> RenderableType:
    """`totes dlq check`."""
    if not report.groups:
        return Text(NOTHING_MATCHES if filtered else NOTHING_THERE)
    verdicts = dict(zip((group.kind for group in report.groups), report.verdicts, strict=True))
    parts: list[RenderableType] = []
    for place, numbered in _places(report):
        table = _table("count", "would pass", "would fail")
        for number, group in numbered:
            found = verdicts[group.kind]
            fails = Text(f"{found.fails:,}", style=BAD if found.fails else QUIET)
            table.add_row(*_names(number, group), f"{group.count:,}", f"{found.passes:,}", fails)
        parts += [Text(_heading(place, [group for _, group in numbered]), style="bold"), table]
        parts += [_numbered(number, line) for number, group in numbered for line in _said(verdicts[group.kind])]
        parts.append(Text())
    return Parts(*parts, *_endings(report), _verdict(report))


def ago(seconds: float) -> str:
    """A time that fits a narrow column: 12 s, 5 min, 3 h, 4 d."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit:.0f} {name}"
    return f"{max(0.0, seconds):.0f} s"


def plain(text: str) -> str:
    """Text that moves no cursor: what does not print is shown by its escape, a new line as a space."""
    return "".join(each if each.isprintable() else _escaped(each) for each in text)


def _escaped(character: str) -> str:
    return " " if character in "\n\r\t" else character.encode("unicode_escape").decode()


def _group_json(group: Group) -> dict[str, Any]:
    found = {**asdict(group.kind), **asdict(group)}
    found["example_reason"] = found.pop("reason")
    found["reason"] = group.kind.reason
    del found["kind"]
    return found | {"oldest": group.oldest.isoformat(), "newest": group.newest.isoformat()}


def _places(report: Report) -> Iterator[tuple[str, list[tuple[int, Group]]]]:
    """The groups of each place that has any, numbered through."""
    numbered = list(enumerate(report.groups, 1))
    for place in PLACES:
        found = [(number, group) for number, group in numbered if group.kind.queue == place]
        if found:
            yield place, found


def _heading(place: str, groups: Sequence[Group]) -> str:
    count = sum(group.count for group in groups)
    if place == PLACE:
        return f"Quarantined rows: {count:,} (ages by the source's clock)"
    return f"Parked messages of {place}: {count:,}"


def _table(*numbers: str) -> Table:
    table = new_table("feed")
    table.add_column("cause", no_wrap=True, overflow="ellipsis")
    for name in ("v", *numbers):
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _names(number: int, group: Group) -> tuple[RenderableType, ...]:
    kind = group.kind
    return (
        Text(f"{number:>2} {kind.feed or NOTHING}"),
        Text(kind.cause),
        NOTHING if kind.contract is None else f"{kind.contract}",
    )


def _list_table(numbered: Sequence[tuple[int, Group]], now: datetime) -> Table:
    table = _table("count", "oldest", "newest", "replays")
    for number, group in numbered:
        ages = (ago((now - moment).total_seconds()) for moment in (group.oldest, group.newest))
        table.add_row(*_names(number, group), f"{group.count:,}", *ages, f"{group.replays:,}")
    return table


def _numbered(number: int, text: str) -> RenderableType:
    """A sentence under a table, wrapped beside the number of its line."""
    said = plain(text)
    cut = said if len(said) <= REASON_CHARACTERS else f"{said[:REASON_CHARACTERS]}…"
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_row(Text(f"{number:>2}:", style=QUIET), Text(cut, overflow="fold"))
    return Padding(grid, 0)


def _said(verdicts: Verdicts) -> Iterator[str]:
    for each in verdicts.failing:
        yield f"{each.count:,} would fail with {each.cause}: {each.reason}"
    if verdicts.note:
        yield f"would pass: {verdicts.note}"


def _endings(report: Report) -> Iterator[RenderableType]:
    if not report.complete:
        yield Text(NOT_ALL, style=BAD)


def _verdict(report: Report) -> Text:
    total = report.parked + report.quarantined
    if report.fails:
        return Text(f"{report.fails:,} of {total:,} would still fail.", style=BAD)
    return Text(f"All {total:,} would pass: `totes dlq replay` sends them again.", style=GOOD)
