"""What happened to one row, put together from what archive, quarantine and the warehouse's books say of it. Pure.

Invariant: the archive says which observations there were, the books only what became of each; an observation that only
the books know is told as such. Values of secret columns leave here masked; that one changed is still told. The same
facts in any order make the same trace.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from contracts.columnar import MASK, is_secret
from contracts.feeds import Feed
from contracts.messages import Operation, Origin
from services.ops.moments import shown
from services.ops.quarantine import PURGED

Values = Mapping[str, str | None]
Place = tuple[int, int, int]
"""Generation, revision, contract: what decides who is newer."""
Spot = tuple[str, int]
"""An archive object, and the index of a row in it."""


@dataclass(frozen=True)
class Span:
    """The source times looked at; None leaves a side open."""

    since: datetime | None = None
    until: datetime | None = None

    def holds(self, moment: datetime) -> bool:
        """Whether a moment lies in it, both ends included."""
        return (self.since is None or moment >= self.since) and (self.until is None or moment <= self.until)


@dataclass(frozen=True)
class Observation:
    """One row of one archive object: its snapshot, its batch, where it lies, its values as archived."""

    batch: str
    object: str
    row: int
    operation: Operation
    origin: Origin
    generation: int
    revision: int
    contract: int
    since: datetime | None
    as_of: datetime
    values: Values = field(repr=False)
    """Unmasked: they go no further than this module. None of a deletion."""


@dataclass(frozen=True)
class Quarantined:
    """Why an observation was kept apart; the value is masked where its column is secret."""

    object: str
    field: str
    value: str | None
    reason: str
    reason_class: str
    contract: int


@dataclass(frozen=True)
class Replayed:
    """One replay of a quarantined observation: the batch it was sent as, and the object its rows lie in."""

    marker: str
    batch: str
    object: str
    replays: int
    """How often the row was replayed, this time included."""

    @property
    def became(self) -> str:
        """What was done with the row."""
        return "purged" if self.batch == PURGED else f"replayed as {self.batch}"


@dataclass(frozen=True)
class Load:
    """The load batch that brought an observation, and the contract it was transformed under."""

    id: str
    change_batch: str
    contract: int
    loaded_at: datetime
    freshness_seconds: float | None


@dataclass(frozen=True)
class Seen:
    """One observation in the bookkeeping of a fact."""

    generation: int
    revision: int
    contract: int
    deleted: bool
    seen_at: datetime


@dataclass(frozen=True)
class Version:
    """One version of a fact, as its history shows it. `ended_by` is None while it is current."""

    record_id: int
    generation: int
    revision: int
    contract: int
    valid_from: datetime
    valid_to: datetime | None
    ended_by: str | None


@dataclass(frozen=True)
class Member:
    """One member of a dimension. Generation 0 is an inferred one, that no row has described yet."""

    generation: int
    revision: int
    contract: int
    seen_at: datetime | None
    deleted: tuple[int, int] | None
    inferred_at: datetime | None

    @property
    def is_deleted(self) -> bool:
        """Whether its newest observation is that the row is gone."""
        return self.deleted is not None and self.deleted > (self.generation, self.revision)


@dataclass(frozen=True)
class Books:
    """What the warehouse says of the key; `problem` is why it says nothing."""

    problem: str | None = None
    loads: tuple[Load, ...] = ()
    seen: tuple[Seen, ...] = ()
    versions: tuple[Version, ...] = ()
    """In the order of their positions."""
    member: Member | None = None


class Fate(StrEnum):
    """What became of one observation."""

    VERSION = "version"
    NO_VERSION = "no version"
    CONTENT = "content"
    REPLACED = "replaced"
    DELETION = "deletion"
    QUARANTINED = "quarantined"
    ON_CHANGES = "on its way to transform"
    ON_LOADS = "on its way to the loader"
    PARKED = "parked"
    ARCHIVED_ONLY = "archived only"
    DAMAGED = "damaged"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class Change:
    """A column whose value differs from the observation before."""

    column: str
    before: str | None
    after: str | None


@dataclass(frozen=True)
class Entry:
    """One observation and what became of it. Batch, object and row are None where only the books know of it."""

    as_of: datetime
    generation: int
    revision: int
    contract: int
    operation: Operation
    origin: Origin | None
    since: datetime | None
    batch: str | None
    object: str | None
    row: int | None
    values: Values
    changes: tuple[Change, ...] | None
    """None where there is no earlier row to compare with: the first, and one after a deletion."""
    quarantined: tuple[Quarantined, ...]
    replays: tuple[Replayed, ...]
    load: Load | None
    version: Version | None
    fate: Fate
    outcome: str


@dataclass(frozen=True)
class Trace:
    """One row's life: its observations in the order that decides who is newer, and what is shown now."""

    feed: str
    key: int
    star_table: str | None
    entries: tuple[Entry, ...]
    notes: tuple[str, ...]
    """What could not be read, a sentence each."""
    now: str
    shows_newest: bool | None
    """None where that is not known, or nothing is ever shown."""


@dataclass(frozen=True)
class Facts:
    """Everything that was read about one key."""

    feed: Feed
    key: int
    span: Span
    observations: Sequence[Observation]
    books: Books
    quarantined: Mapping[Spot, tuple[Quarantined, ...]] = field(default_factory=dict)
    replays: Mapping[Spot, tuple[Replayed, ...]] = field(default_factory=dict)
    built: frozenset[str] = frozenset()
    """Change batches whose load batch lies in the processed bucket."""
    parked: Mapping[str, str] = field(default_factory=dict)
    """Change batch -> the queue in whose dead letters its message lies."""
    notes: tuple[str, ...] = ()


def assemble(facts: Facts) -> Trace:
    """The trace of a key."""
    entries = tuple(sorted([*_archived(facts), *_only_in_the_books(facts)], key=_order))
    now, shows_newest = _conclusion(facts, entries)
    table = None if facts.feed.star is None else facts.feed.star.table
    return Trace(facts.feed.name, facts.key, table, entries, facts.notes, now, shows_newest)


def _order(one: Entry | Observation) -> tuple[Place, datetime, bool, str]:
    """By position; of one position what was first read comes before what was sent once more."""
    again = one.origin in (Origin.REPLAY, Origin.REPAIR)
    return (one.generation, one.revision, one.contract), one.as_of, again, one.object or ""


def _archived(facts: Facts) -> Iterator[Entry]:
    before: Values = {}
    for one in sorted(facts.observations, key=_order):
        yield _entry(facts, one, before)
        before = one.values


def _place(one: Seen | Version) -> Place:
    return one.generation, one.revision, one.contract


def _entry(facts: Facts, one: Observation, before: Values) -> Entry:
    at = one.object, one.row
    load = next((load for load in facts.books.loads if load.change_batch == one.batch), None)
    quarantined = facts.quarantined.get(at, ())
    contract = one.contract if load is None else load.contract
    version = _version_at(facts.books, (one.generation, one.revision, contract))
    fate, outcome = _fate(facts, one, load)
    return Entry(
        as_of=one.as_of,
        generation=one.generation,
        revision=one.revision,
        contract=one.contract,
        operation=one.operation,
        origin=one.origin,
        since=one.since,
        batch=one.batch,
        object=one.object,
        row=one.row,
        values=_masked(facts.feed, one.values),
        changes=_changes(facts.feed, before, one.values) if before and one.values else None,
        quarantined=quarantined,
        replays=facts.replays.get(at, ()),
        load=None if quarantined else load,
        version=None if quarantined else version,
        fate=fate,
        outcome=outcome,
    )


def _masked(feed: Feed, values: Values) -> Values:
    return {column: _mask(feed, column, value) for column, value in values.items()}


def _mask(feed: Feed, column: str, value: str | None) -> str | None:
    """A column that this contract does not know may have been secret under another: masked too."""
    known = column in feed.row.model_fields
    return MASK if value is not None and (not known or is_secret(feed.row, column)) else value


def _changes(feed: Feed, before: Values, after: Values) -> tuple[Change, ...]:
    """Columns that differ, in the order of the newer row; one that is new or gone counts as NULL on the other side."""
    names = dict.fromkeys((*after, *before))
    return tuple(
        Change(name, _mask(feed, name, before.get(name)), _mask(feed, name, after.get(name)))
        for name in names
        if before.get(name) != after.get(name)
    )


def _version_at(books: Books, place: Place) -> Version | None:
    return next((version for version in books.versions if _place(version) == place), None)


def _fate(facts: Facts, one: Observation, load: Load | None) -> tuple[Fate, str]:
    """What became of an observation, as a word and in words."""
    bad = facts.quarantined.get((one.object, one.row), ())
    if bad:
        return Fate.QUARANTINED, _why_quarantined(bad[-1], facts.replays.get((one.object, one.row), ()))
    if facts.feed.star is None:
        return Fate.ARCHIVED_ONLY, "archived only: this feed has no star table"
    if facts.books.problem is not None:
        return Fate.UNKNOWN, "what became of it is not known: the warehouse does not answer"
    if load is None:
        return _not_loaded(facts, one)
    place = one.generation, one.revision, load.contract
    if facts.feed.star.record_id is None:
        return _in_dimension(facts.books.member, one.operation, place)
    return _in_history(facts.books, place)


def _why_quarantined(bad: Quarantined, replays: Sequence[Replayed]) -> str:
    value = "" if bad.value is None else f" (found {bad.value!r})"
    again = f", and {replays[-1].became}" if replays else ""
    return f"quarantined under contract {bad.contract}: {bad.field or 'the row'}: {bad.reason}{value}{again}"


def _not_loaded(facts: Facts, one: Observation) -> tuple[Fate, str]:
    if one.batch in facts.parked:
        return Fate.PARKED, f"not loaded: its message is parked in the dead letters of {facts.parked[one.batch]}"
    if one.batch in facts.built:
        return Fate.ON_LOADS, "not loaded: it is built, and on its way to the loader"
    return Fate.ON_CHANGES, "not loaded: it is archived, and on its way to transform"


def _in_history(books: Books, place: Place) -> tuple[Fate, str]:
    """A version begins where the row differs from the observation before it."""
    seen = next((seen for seen in books.seen if _place(seen) == place), None)
    if seen is None:
        return Fate.DAMAGED, "its load batch is in the books, the observation is not: run `totes reconcile --deep`"
    if seen.deleted:
        return Fate.DELETION, "recorded as a deletion"
    version = _version_at(books, place)
    if version is not None:
        return Fate.VERSION, f"{_record(version)}, {_validity(version)}"
    held = [each for each in books.versions if _place(each) < place]
    neighbour = f" (record {held[-1].record_id})" if held else ""
    return Fate.NO_VERSION, f"no version of its own: equal to its neighbour{neighbour}"


def _record(version: Version) -> str:
    return f"version with record id {version.record_id}"


def _validity(version: Version) -> str:
    until = "current" if version.valid_to is None else f"until {shown(version.valid_to)} ({version.ended_by})"
    return f"valid from {shown(version.valid_from)}, {until}"


def _in_dimension(member: Member | None, operation: Operation, place: Place) -> tuple[Fate, str]:
    """A dimension keeps the newest row only."""
    if operation is Operation.DELETED:
        return Fate.DELETION, "recorded as a deletion"
    if member is None:
        return Fate.DAMAGED, "its load batch is in the books, the member is gone: run `totes reconcile --deep`"
    if (member.generation, member.revision, member.contract) == place:
        return Fate.CONTENT, "the member's content now"
    return Fate.REPLACED, "loaded, and replaced by a newer observation"


def _only_in_the_books(facts: Facts) -> Iterator[Entry]:
    """Observations that the archive does not have, so far as they lie in the span."""
    known = {(one.generation, one.revision) for one in facts.observations}
    for seen in facts.books.seen:
        if (seen.generation, seen.revision) not in known and facts.span.holds(seen.seen_at):
            fate, outcome = _in_history(facts.books, _place(seen))
            yield Entry(
                as_of=seen.seen_at,
                generation=seen.generation,
                revision=seen.revision,
                contract=seen.contract,
                operation=Operation.DELETED if seen.deleted else Operation.CHANGED,
                origin=None,
                since=None,
                batch=None,
                object=None,
                row=None,
                values={},
                changes=None,
                quarantined=(),
                replays=(),
                load=None,
                version=_version_at(facts.books, _place(seen)),
                fate=fate,
                outcome=outcome,
            )


def _conclusion(facts: Facts, entries: Sequence[Entry]) -> tuple[str, bool | None]:
    """What the warehouse shows now, and whether that is the newest observation."""
    star, books = facts.feed.star, facts.books
    newest = entries[-1] if entries else None
    its = "There is no observation in the archive." if newest is None else f"The newest observation is {_named(newest)}"
    if star is None:
        return f"{facts.feed.name} has no star table, so the warehouse shows nothing of it. {its}", None
    if books.problem is not None:
        return f"The warehouse does not answer, so what it shows now is not known. {its}", None
    table, key = star.table, facts.key
    what = _shown(books, table) or f"no row of {table} for {facts.feed.key} {key}"
    if newest is None:
        return f"The warehouse shows {what}; {its[0].lower()}{its[1:]}", False
    known = _newest_in(books)
    at = newest.generation, newest.revision
    if known == at:
        return _agreement(what, newest, has_row=_shown(books, table) is not None)
    if known is not None and known > at:
        return f"The warehouse shows {what}, which is newer than all that was looked at here. {its}", None
    return (
        f"The warehouse shows {what}, and not the newest observation, {_named(newest)[:-1]}: {newest.outcome}.",
        False,
    )


def _agreement(what: str, newest: Entry, *, has_row: bool) -> tuple[str, bool]:
    """The books know the newest observation; whether a row is shown must follow from it."""
    if has_row == (newest.operation is Operation.CHANGED):
        return f"The warehouse shows {what}, and that is the newest observation, {_named(newest)}", True
    return (
        f"The warehouse shows {what}, though its books hold the newest observation, {_named(newest)[:-1]}: somebody "
        "changed the star table; run `totes reconcile --deep`."
    ), False


def _named(entry: Entry) -> str:
    word = "the deletion" if entry.operation is Operation.DELETED else "the row"
    return f"{word} of {shown(entry.as_of)} (generation {entry.generation}, revision {entry.revision})."


def _shown(books: Books, table: str) -> str | None:
    """The row that the warehouse shows now, None where it shows none."""
    if books.member is not None and not books.member.is_deleted:
        member = books.member
        if member.generation == 0:
            made = "" if member.inferred_at is None else f", made at {shown(member.inferred_at)}"
            return f"an inferred member of {table}{made}, which no row has described yet"
        return f"the member of {table} at generation {member.generation}, revision {member.revision}"
    current = [version for version in books.versions if version.valid_to is None]
    if current:
        return f"record {current[-1].record_id} of {table}, valid since {shown(current[-1].valid_from)}"
    return None


def _newest_in(books: Books) -> tuple[int, int] | None:
    """The newest position that the books hold of the key."""
    member = books.member
    places = [(seen.generation, seen.revision) for seen in books.seen]
    if member is not None:
        places += [(member.generation, member.revision), *([member.deleted] if member.deleted else [])]
    return max(places, default=None)


def is_absent(trace: Trace, books: Books) -> bool:
    """Whether nothing at all is known of the key."""
    return not trace.entries and not books.seen and not books.versions and books.member is None


def batches_of(observations: Iterable[Observation]) -> list[str]:
    """The change batches of observations, each once."""
    return list(dict.fromkeys(one.batch for one in observations))
