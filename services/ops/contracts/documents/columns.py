"""Every column of the source and of the warehouse as the documents tell of it: one description, of which all are made.

A column's meaning is written once: below its field. What a joined feed reads of its second table means what it means
there, and a star column without a sentence of its own means what the source column means that it is made from. Pure.
Invariant: a column whose meaning is written nowhere is refused, so that no document has a gap.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from contracts import columnar
from contracts.feeds import FEEDS, Feed
from contracts.star import STAR_TABLES, Column, StarRow
from services.ops.contracts.documents.lineage import Origin, origins
from services.ops.contracts.documents.meanings import meanings
from services.ops.contracts.documents.values import LOGICAL, value
from shared.errors import ConfigurationError

RECORD_ID = "Key of this version of the row: a serial of the warehouse's own."
"""What a fact's first column means, which stands in no model."""


@dataclass(frozen=True)
class Reference:
    """The table and column whose value a column holds."""

    table: str
    column: str


@dataclass(frozen=True)
class Described:
    """One column: its type in words, and as the Open Data Contract Standard has it; of a star column the origin."""

    name: str
    type: str
    logical: str
    nullable: bool
    key: bool
    meaning: str
    secret: bool = False
    reference: Reference | None = None
    origin: Origin | None = None


@dataclass(frozen=True)
class Models:
    """The row models that are documented, and what follows from them together."""

    feeds: Mapping[str, Feed]
    tables: tuple[type[StarRow], ...]

    def source_columns(self, feed: Feed) -> tuple[Described, ...]:
        """A feed's columns in their order. Raises ConfigurationError where one's meaning is written nowhere."""
        return tuple(self._source_column(feed, name) for name in feed.columns)

    def star_columns(self, star: type[StarRow]) -> tuple[Described, ...]:
        """A star table's predefined columns in their order. Raises ConfigurationError as `source_columns` does."""
        first = [] if star.record_id is None else [_record_id(star.record_id)]
        return (*first, *(self._star_column(star, column) for column in star.columns()))

    def feed_of(self, star: type[StarRow]) -> Feed | None:
        """The feed that a star table is made from; None for dim_date, whose rows the loader makes."""
        return next((feed for feed in self.feeds.values() if feed.star is star), None)

    def _source_column(self, feed: Feed, name: str) -> Described:
        held = value(feed.row, name)
        return Described(
            name=name,
            type=held.shown,
            logical=held.logical,
            nullable=columnar.nullable(feed.row, name),
            key=name == feed.key,
            meaning=self._source_meaning(feed, name),
            secret=columnar.is_secret(feed.row, name),
            reference=self._source_reference(feed, name),
        )

    def _star_column(self, star: type[StarRow], column: Column) -> Described:
        feed = self.feed_of(star)
        origin = None if feed is None else origins(feed).get(column.name)
        return Described(
            name=column.name,
            type=column.sql,
            logical=LOGICAL[column.python],
            nullable=column.nullable,
            key=column.name == star.key and star.record_id is None,
            meaning=self._star_meaning(star, column.name, feed, origin),
            reference=None if column.references is None else self._key_of(column.references),
            origin=origin,
        )

    def _source_meaning(self, feed: Feed, name: str) -> str:
        found = meanings(feed.row).get(name)
        if found is None and feed.join is not None and name in feed.join.columns:
            found = meanings(self.feeds[feed.join.table].row).get(name)
        return found or _refused(feed.row.__name__, name)

    def _star_meaning(self, star: type[StarRow], name: str, feed: Feed | None, origin: Origin | None) -> str:
        found = meanings(star).get(name)
        if found is None and feed is not None and origin is not None and len(origin.columns) == 1:
            found = self._source_meaning(feed, origin.columns[0])
        return found or _refused(star.__name__, name)

    def _source_reference(self, feed: Feed, name: str) -> Reference | None:
        """By the join; by the dimension that the star column refers to; by the name, if it is another feed's key."""
        if feed.join is not None and name == feed.join.on:
            return Reference(feed.join.table, self.feeds[feed.join.table].key)
        targets = [
            *self._referred_to(feed, name),
            *(each for each in self.feeds.values() if each.key == name != feed.key),
        ]
        return Reference(targets[0].name, targets[0].key) if targets else None

    def _referred_to(self, feed: Feed, name: str) -> list[Feed]:
        """The feeds of the dimensions that the star columns refer to which are made from this column."""
        made = {column for column, origin in origins(feed).items() if name in origin.columns}
        referred = {each.references for each in feed.star.columns() if each.name in made} if feed.star else set()
        return [each for each in self.feeds.values() if each.star is not None and each.star.table in referred]

    def _key_of(self, table: str) -> Reference:
        return next(Reference(table, star.key) for star in self.tables if star.table == table)


TODAY = Models(FEEDS, STAR_TABLES)
"""The contracts as they are in the code."""


def made_into(feed: Feed) -> Mapping[str, tuple[str, ...]]:
    """Source column -> the star columns that are made from it."""
    found = origins(feed)
    return {name: tuple(column for column, origin in found.items() if name in origin.columns) for name in feed.columns}


def _record_id(name: str) -> Described:
    return Described(name, "serial", LOGICAL[int], nullable=False, key=True, meaning=RECORD_ID)


def _refused(model: str, field: str) -> str:
    raise ConfigurationError(
        f"Expected a sentence that says what {field} means, found none in {model}: "
        "write it below the field, as a text of its own."
    )
