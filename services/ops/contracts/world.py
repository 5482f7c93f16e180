"""What a live source and a live warehouse owe to the contracts, and where they fall short of them. Pure.

Invariant: a database that is as the contracts say has no finding; each thing that is not has one sentence, under the
contract it concerns. A failure: rows cannot be read or loaded, or a reader gets something else than was promised.
A warning: it works, and rows will be quarantined or a net is gone. A note: nothing of ours depends on it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import MappingProxyType

from contracts import columnar, star
from contracts.feeds import NOT_POLLED, Feed
from contracts.star import STAR_TABLES, Kind, StarRow
from services.loader.ddl import view_names
from services.loader.schema import FACTS
from services.ops.contracts import published
from services.ops.doctor.findings import Finding, Verdict, fail, note, told, warn
from shared.totesys import catalog

INTEGERS: Mapping[str, int] = MappingProxyType({"int2": 2**15 - 1, "int4": 2**31 - 1, "int8": 2**63 - 1})
"""Postgres's integer types with the greatest value of each: alike as text, and not in what they may hold."""
SPELLED: Mapping[str, str] = MappingProxyType(
    {"int": "integer", "varchar": "character varying", "time": "time without time zone"}
)
"""How Postgres spells a type that a star contract names otherwise."""
VIEWS: Mapping[str, type[StarRow] | None] = {
    **{view: fact for fact in FACTS for view in view_names(fact)},
    "freshness": None,
}
"""Every view of the star schema, and the fact that it shows."""
HISTORY = {"valid_from": "timestamp with time zone", "valid_to": "timestamp with time zone", "ended_by": "text"}
"""What a history shows beside the predefined columns."""
_NEXT_VERSION = "release the contract's next version, as docs/contracts.md walks through"
_MIGRATE = "Run `totes migrate`; what that does not mend, a contract changed without its migration (docs/contracts.md)."
_HAND_MADE = "Undo what was done by hand: no migration makes it so."


@dataclass(frozen=True)
class Column:
    """A column of the warehouse as its catalog has it. `filled`: left out of an INSERT, it still gets a value."""

    name: str
    type: str
    nullable: bool
    filled: bool
    of_key: bool
    references: tuple[str, ...] = ()


@dataclass(frozen=True)
class Relation:
    """A table of the warehouse, or a view, with its columns in their order."""

    is_table: bool
    columns: tuple[Column, ...]

    @property
    def named(self) -> Mapping[str, Column]:
        """The columns by name."""
        return {column.name: column for column in self.columns}


def of_source(
    found: catalog.Findings, tables: Mapping[str, catalog.Table], feeds: Sequence[Feed], schema: str
) -> Iterator[Finding]:
    """Where a source falls short of the row contracts; what keeps a feed from being read, as the poller tells it."""
    yield from (told("source", sentence) for sentence in found.source)
    if found.source and not tables:
        return
    for feed in feeds:
        yield from (told(_title(feed), sentence) for sentence in found.feeds.get(feed.name, ()))
        for name in feed.tables:
            if name in tables and tables[name].real:
                yield from _of_columns(feed, name, tables[name], f"{schema}.{name}")
        if feed.name in tables and tables[feed.name].real:
            yield from _of_key(feed, tables[feed.name], f"{schema}.{feed.name}")
    yield from _of_unread(feeds, tables, schema)


def of_warehouse(relations: Mapping[str, Relation], schema: str) -> Iterator[Finding]:
    """Where a warehouse falls short of the star contracts and of the views over them."""
    if not relations:
        yield fail("star", f"Expected the star schema in the schema {schema!r} and found no table there.", _MIGRATE)
        return
    for table in STAR_TABLES:
        yield from of_table(table, relations.get(table.table), f"{schema}.{table.table}")
    for view, fact in VIEWS.items():
        yield from _of_view(view, fact, relations.get(view), f"{schema}.{view}")


def of_table(table: type[StarRow], found: Relation | None, place: str) -> Iterator[Finding]:
    """Where one table falls short of its star contract."""
    check = f"{published.Kind.STAR}.{table.table}"
    if found is None:
        yield fail(check, f"Expected the table {place} and found none.", _MIGRATE)
    elif not found.is_table:
        yield fail(check, f"Expected {place} to be a table and found a view.", _HAND_MADE)
    else:
        wanted = _predefined(table)
        yield from _of_predefined(check, wanted, found.named, place)
        yield from _of_primary_key(check, table, found, place)
        yield from _of_order(check, wanted, found, place)
        yield from _of_others(check, wanted, found, place)


def lines(findings: Iterable[Finding]) -> Iterator[str]:
    """A paragraph for each contract that has findings, the worst of each first; a sentence where none has any."""
    rank = [Verdict.FAIL, Verdict.WARN, Verdict.NOTE, Verdict.OK]
    ordered = sorted(findings, key=lambda one: (one.check, rank.index(one.verdict)))
    if not ordered:
        yield "Everything is as the contracts say."
    for check, group in groupby(ordered, key=lambda one: one.check):
        yield check
        yield from (f"  {one.verdict}: {' '.join(filter(None, (one.found, one.cure)))}" for one in group)


def _title(feed: Feed) -> str:
    return f"{published.Kind.SOURCE}.{feed.name}"


def _of_columns(feed: Feed, name: str, table: catalog.Table, place: str) -> Iterator[Finding]:
    """What the catalog allows and the contract does not. A joined row may be missing, so its columns may be NULL."""
    for column in _contracted(feed, name):
        if column in table.columns:
            yield from _of_null(feed, column, table.columns[column], f"{place}.{column}")
            yield from _of_range(feed, column, table.columns[column], f"{place}.{column}")


def _contracted(feed: Feed, table: str) -> Iterator[str]:
    """The columns of one of its tables that a feed's contract speaks of."""
    theirs = feed.join.columns if feed.join is not None else ()
    return iter(theirs) if table != feed.name else (column for column in feed.columns if column not in theirs)


def _of_null(feed: Feed, column: str, found: catalog.Column, place: str) -> Iterator[Finding]:
    if found.nullable and not columnar.nullable(feed.row, column):
        yield warn(
            _title(feed),
            f"Expected the column {place} to be NOT NULL and found that it may be NULL.",
            f"A row with NULL there will be quarantined: restore NOT NULL, or let it be NULL and {_NEXT_VERSION}.",
        )


def _of_range(feed: Feed, column: str, found: catalog.Column, place: str) -> Iterator[Finding]:
    greatest = _greatest(feed, column)
    if greatest is not None and INTEGERS.get(found.made_of, 0) > greatest:
        yield warn(
            _title(feed),
            f"Expected the column {place} to hold no more than {greatest} and found {found.declared}.",
            f"A row with more than that will be quarantined: restore its type, or widen it and {_NEXT_VERSION}.",
        )


def _greatest(feed: Feed, column: str) -> int | None:
    """The greatest integer that a contract takes, if it says one."""
    schema = feed.row.model_json_schema()["properties"][column]
    maximum: int | None = next(iter(schema.get("anyOf", ())), schema)["x-value"].get("maximum")
    return maximum


def _of_key(feed: Feed, table: catalog.Table, place: str) -> Iterator[Finding]:
    key = tuple(name for name, column in table.columns.items() if column.of_key)
    if key != (feed.key,):
        yield fail(
            _title(feed),
            f"Expected the primary key of {place} to be {feed.key} and found {', '.join(key) or 'none'}.",
            "Two rows of one key would pass for versions of one: restore it, or name the key there is in FEEDS.",
        )


def _of_unread(feeds: Sequence[Feed], tables: Mapping[str, catalog.Table], schema: str) -> Iterator[Finding]:
    owners = {table: feed for feed in feeds for table in feed.tables} | {feed.name: feed for feed in feeds}
    for table, column in catalog.unread(feeds, tables):
        if column is not None:
            place = f"{schema}.{table}.{column}"
            yield note(_title(owners[table]), f"No contract reads the column {place}.", f"To read it, {_NEXT_VERSION}.")
        elif table not in NOT_POLLED:
            cure = "To read it, write its contract, as docs/contracts.md walks through."
            yield note("source", f"No feed reads the table {schema}.{table}.", cure)


def _predefined(table: type[StarRow]) -> tuple[star.Column, ...]:
    """The columns that the contract promises, a fact's record id first."""
    if table.record_id is None:
        return table.columns()
    return (star.Column(table.record_id, int, "int", nullable=False, references=None), *table.columns())


def _of_predefined(
    check: str, wanted: Sequence[star.Column], found: Mapping[str, Column], place: str
) -> Iterator[Finding]:
    for column in wanted:
        if column.name not in found:
            yield fail(check, f"Expected the column {place}.{column.name} ({column.sql}) and found none.", _MIGRATE)
        else:
            yield from _of_type(check, column, found[column.name], f"{place}.{column.name}")
            yield from _of_nullability(check, column, found[column.name], f"{place}.{column.name}")
            yield from _of_references(check, column, found[column.name], f"{place}.{column.name}")


def _of_type(check: str, wanted: star.Column, found: Column, place: str) -> Iterator[Finding]:
    if found.type != _spelled(wanted.sql):
        yield fail(check, f"Expected the column {place} to be {_spelled(wanted.sql)} and found {found.type}.", _MIGRATE)


def _spelled(sql: str) -> str:
    return SPELLED.get(sql, sql.replace(", ", ","))


def _of_nullability(check: str, wanted: star.Column, found: Column, place: str) -> Iterator[Finding]:
    if found.nullable and not wanted.nullable:
        yield warn(check, f"Expected the column {place} to be NOT NULL and found that it may be NULL.", _HAND_MADE)
    if wanted.nullable and not found.nullable:
        yield fail(check, f"Expected that the column {place} may be NULL and found NOT NULL.", _MIGRATE)


def _of_references(check: str, wanted: star.Column, found: Column, place: str) -> Iterator[Finding]:
    others = [table for table in found.references if table != wanted.references]
    if wanted.references is not None and wanted.references not in found.references:
        sentence = f"Expected the column {place} to refer to {wanted.references} and found that it does not."
        yield warn(check, sentence, _HAND_MADE)
    if others:
        sentence = f"Expected no reference of the column {place} to {', '.join(others)} and found one."
        yield fail(check, sentence, f"Loads without that row would be refused. {_HAND_MADE}")


def _of_primary_key(check: str, table: type[StarRow], found: Relation, place: str) -> Iterator[Finding]:
    wanted = table.record_id or table.key
    key = ", ".join(column.name for column in found.columns if column.of_key)
    if key != wanted:
        sentence = f"Expected the primary key of {place} to be {wanted} and found {key or 'none'}."
        yield fail(check, sentence, _HAND_MADE)
    if table.kind() is Kind.FACT and wanted in found.named and not found.named[wanted].filled:
        yield fail(check, f"Expected the column {place}.{wanted} to number itself and found no default.", _HAND_MADE)


def _of_order(check: str, wanted: Sequence[star.Column], found: Relation, place: str) -> Iterator[Finding]:
    promised = [column.name for column in wanted if column.name in found.named]
    standing = [column.name for column in found.columns if column.name in promised]
    out = next((pair for pair in zip(promised, standing, strict=True) if pair[0] != pair[1]), None)
    if out is not None:
        sentence = f"Expected the columns of {place} in the contract's order and found {out[1]} before {out[0]}."
        yield fail(check, sentence, "Who reads by position reads another column: put them back in their order.")


def _of_others(check: str, wanted: Sequence[star.Column], found: Relation, place: str) -> Iterator[Finding]:
    """Columns that nobody promised; those with a leading underscore are our own bookkeeping."""
    promised = {column.name for column in wanted}
    for column in found.columns:
        if column.name in promised or column.name.startswith("_"):
            continue
        sentence = f"No contract knows the column {place}.{column.name}"
        if column.nullable or column.filled:
            yield note(check, f"{sentence}.", "The loader leaves it out.")
        else:
            yield fail(
                check, f"{sentence}, and it is NOT NULL without a default.", f"No load can fill it. {_HAND_MADE}"
            )


def _of_view(view: str, fact: type[StarRow] | None, found: Relation | None, place: str) -> Iterator[Finding]:
    check = f"{published.Kind.STAR}.{fact.table}" if fact is not None else "star"
    if found is None:
        yield fail(check, f"Expected the view {place} and found none.", _MIGRATE)
    elif fact is not None:
        shown = {column.name: column.type for column in found.columns}
        for name, kind in _shown(view, fact).items():
            if shown.get(name) != kind:
                sentence = f"Expected the view {place} to show {name} ({kind}) and found {shown.get(name, 'none')}."
                yield fail(check, sentence, _MIGRATE)


def _shown(view: str, fact: type[StarRow]) -> dict[str, str]:
    """The columns of a fact's view with their types."""
    predefined = {column.name: _spelled(column.sql) for column in _predefined(fact)}
    return predefined | (HISTORY if view.startswith("history_") else {})
