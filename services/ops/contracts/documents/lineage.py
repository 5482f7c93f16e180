"""Which source columns a star column is made from, found by building rows twice: nobody has to write it down.

Each builder of services.transform.star gets one row, then the same row with one column changed, or with that column
NULL; what differs in the star row comes from that column. Pure. Invariant: what is said here is what the builder does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from enum import StrEnum
from functools import cache
from typing import Any

from contracts import columnar
from contracts.feeds import Feed
from contracts.star import Column, StarRow
from services.ops.contracts.documents.values import value
from services.transform.star import BUILDERS, UNKNOWN
from shared.errors import ConfigurationError

SourceRow = Mapping[str, Any]
MARKS: Mapping[type, tuple[Any, Any]] = {
    int: (1, 2),
    str: ("GBP", "USD"),  # two that ISO 4217 lists: a name that is looked up must differ too
    bool: (False, True),
    Decimal: (Decimal("1.50"), Decimal("2.25")),
    date: (date(2024, 2, 29), date(2025, 3, 1)),
    time: (time(1, 2, 3), time(4, 5, 6)),
    datetime: (datetime(2024, 2, 29, 1, 2, 3), datetime(2025, 3, 1, 4, 5, 6)),  # noqa: DTZ001 - the source has no zone
}
"""Two values of every type that a source column may hold, different in all their parts."""


class Change(StrEnum):
    """What becomes of a source column's value on its way into a star column."""

    NONE = "as it is"
    DATE = "its date"
    TIME = "its time of day"
    COMPUTED = "computed from it"


@dataclass(frozen=True)
class Origin:
    """Where a star column comes from; `unknown`: NULL becomes 'Unknown'."""

    columns: tuple[str, ...]
    change: Change
    unknown: bool

    @property
    def altered(self) -> bool:
        """Whether the value is another one than the source's."""
        return self.change is not Change.NONE


@cache
def origins(feed: Feed) -> Mapping[str, Origin]:
    """Star column -> its origin. Raises ConfigurationError for a star table that nothing builds."""
    if feed.star is None:
        return {}
    usual, usually = _usual(feed), _built(feed.star, _usual(feed))
    found: dict[str, list[str]] = {}
    for name in feed.columns:
        other = _built(feed.star, {**usual, name: _marks(feed, name)[1]})
        for column in usually:
            if other[column] != usually[column]:
                found.setdefault(column, []).append(name)
    columns = {column.name: column for column in feed.star.columns()}
    return {name: _origin(feed, columns[name], tuple(made)) for name, made in found.items() if name in columns}


def _origin(feed: Feed, column: Column, made_from: tuple[str, ...]) -> Origin:
    return Origin(made_from, _change(feed, column, made_from), any(_unknowns(feed, column, made_from)))


def _change(feed: Feed, column: Column, made_from: tuple[str, ...]) -> Change:
    """A text may be looked up, so it is compared; any other value of the same type is the same value."""
    python = value(feed.row, made_from[0]).python
    if len(made_from) == 1 and python is datetime:
        return Change.TIME if column.python is time else Change.DATE
    usual = _usual(feed)
    same = python is not str or _built(_star(feed), usual)[column.name] == usual[made_from[0]]
    return Change.NONE if len(made_from) == 1 and python is column.python and same else Change.COMPUTED


def _unknowns(feed: Feed, column: Column, made_from: tuple[str, ...]) -> Iterator[bool]:
    """Of every column that may be NULL: whether 'Unknown' then stands for it."""
    for name in made_from:
        if columnar.nullable(feed.row, name):
            yield str(_built(_star(feed), {**_usual(feed), name: None})[column.name]) == UNKNOWN


def _built(star: type[StarRow], row: SourceRow) -> dict[str, Any]:
    """The star row that is made of one source row."""
    if star.table not in BUILDERS:
        raise ConfigurationError(
            f"Expected a function that builds {star.table}, found none: write it into services/transform/star.py."
        )
    columns = BUILDERS[star.table]({name: [held] for name, held in row.items()})
    return {name: values.tolist()[0] for name, values in columns.items()}


def _usual(feed: Feed) -> SourceRow:
    return {name: _marks(feed, name)[0] for name in feed.columns}


def _marks(feed: Feed, name: str) -> tuple[Any, Any]:
    return MARKS[value(feed.row, name).python]


def _star(feed: Feed) -> type[StarRow]:
    if feed.star is None:
        raise ValueError(f"Expected a feed with a star table, found {feed.name}.")
    return feed.star
