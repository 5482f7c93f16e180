"""The data dictionary: every column of the warehouse and of the source, where it comes from, and a picture of the star.

Pure. Invariant: every sentence about a column stands in the models or in services.ops.contracts.documents.own; here is
only how the page is put together.
"""

from collections.abc import Iterable, Iterator
from pathlib import PurePosixPath

from contracts.feeds import Feed
from contracts.star import StarRow
from services.ops.contracts.documents import own
from services.ops.contracts.documents.columns import Described, Models, made_into
from services.ops.contracts.documents.meanings import sentence
from services.ops.contracts.documents.text import COMMAND, table

PATH = PurePosixPath("docs/data-dictionary.md")
HEAD = f"""\
<!-- Made from the models by `{COMMAND}`: change those. -->
# Data dictionary

What every column means and where it comes from. The [star schema](#the-star-schema) is what analysts read; the
[source](#the-source) is what the pipeline reads, and what its archive holds for ever. The same for a catalogue,
as data contracts: [contracts/odcs](contracts/odcs). The messages between the two:
[contracts/asyncapi.yaml](contracts/asyncapi.yaml).

## The star schema

Facts that share their dimensions. A dimension has one row for each key, the latest; a fact has one row for each version
of its source row, so read the [views](#views) unless you want every version.
"""
KEPT_HEAD = """\
## What the warehouse keeps for itself

Our own columns come after the predefined ones and begin with an underscore.
"""
VIEWS_HEAD = """\
## Views

For analysts: `current_…` has one row for each live row of the source, `history_…` every version, from when to when.
Both have the columns of their fact.
"""
SOURCE_HEAD = """\
## The source

The tables of totesys as the pipeline reads them, each a feed. Values are the source's own text; a row that breaks its
contract is quarantined with the field and the reason. Secret values never leave the archive: they are masked wherever a
row is shown, and in no message, star table or log.
"""


def dictionary(models: Models) -> str:
    """The whole page."""
    parts = (
        HEAD,
        _diagram(models),
        *(_star(star, models) for star in models.tables),
        KEPT_HEAD,
        _kept(models),
        VIEWS_HEAD,
        *_views(models),
        "## Books\n",
        _books(),
        SOURCE_HEAD,
        *(_feed(feed, models) for feed in models.feeds.values()),
    )
    return "\n".join(parts)


def _diagram(models: Models) -> str:
    """The tables with their columns, and a line from a fact to each dimension that it refers to."""
    lines = [*_lines(models), *(line for star in models.tables for line in _entity(star, models))]
    return "\n".join(("```mermaid", "erDiagram", *(f"    {line}" for line in lines), "```", ""))


def _lines(models: Models) -> Iterator[str]:
    """One line for each pair of tables, without words: four from dim_date with their columns' names hid the rest.

    Who stands on the left is drawn above. Facts come between the dimensions that most of them share and the others,
    with the dates, to which most lines lead: of all that were tried, so the fewest lines run behind tables.
    """
    pairs = list(dict.fromkeys((c.references, star.table) for star in models.tables for c in star.columns()))
    for target, fact in ((target, fact) for target, fact in pairs if target is not None):
        shared = sum(each == target for each, _ in pairs) > 1
        above = shared and any(feed.star is not None and feed.star.table == target for feed in models.feeds.values())
        yield f'{target} ||--o{{ {fact} : ""' if above else f'{fact} }}o--|| {target} : ""'


def _entity(star: type[StarRow], models: Models) -> Iterator[str]:
    yield f"{star.table} {{"
    for column in models.star_columns(star):
        marks = "PK" if column.key else "FK" if column.reference is not None else ""
        yield f"    {column.type.partition('(')[0]} {column.name} {marks}".rstrip()
    yield "}"


def _star(star: type[StarRow], models: Models) -> str:
    feed = models.feed_of(star)
    made = "" if feed is None else f" Made from [{feed.name}](#{feed.name})."
    rows = [_star_cells(column, feed) for column in models.star_columns(star)]
    shown = table(("column", "type", "NULL", "meaning", "from"), rows)
    return f"### {star.table}\n\n{sentence(star)}{made}\n\n{shown}"


def _star_cells(column: Described, feed: Feed | None) -> tuple[str, ...]:
    said = column.meaning
    if column.reference is not None:
        said += f" Refers to [{column.reference.table}](#{column.reference.table})."
    return (f"`{column.name}`", column.type, _null(column), said, _origin(column, feed))


def _origin(column: Described, feed: Feed | None) -> str:
    """The source column under its own table's name, and what becomes of it."""
    if feed is None or column.origin is None:
        return ""
    names = ", ".join(f"`{_table_of(feed, name)}.{name}`" for name in column.origin.columns)
    unknown = ", 'Unknown' for NULL" if column.origin.unknown else ""
    changed = f", {column.origin.change}" if column.origin.altered else ""
    return f"{names}{changed}{unknown}"


def _kept(models: Models) -> str:
    dimensions = {star.table for star in models.tables} - {star.table for star in own.facts(models.tables)}
    rows = [
        (f"`{each.name}`", each.type, _yes(each.nullable), _where(each.tables, dimensions), each.meaning)
        for each in own.kept(models.tables)
    ]
    return table(("column", "type", "NULL", "in", "meaning"), rows)


def _where(tables: tuple[str, ...], dimensions: set[str]) -> str:
    """dim_date has none of our own."""
    kinds = ["dimensions"] * bool(dimensions & set(tables)) + ["facts"] * bool(set(tables) - dimensions)
    return " and ".join(kinds)


def _views(models: Models) -> Iterator[str]:
    rows = [
        (f"`{view.name}`", f"[{fact.table}](#{fact.table})", view.said)
        for fact in own.facts(models.tables)
        for view in own.views(fact)
    ]
    freshness = own.relations()["freshness"]
    yield table(("view", "of", "what it shows"), [*rows, (f"`{freshness.name}`", "", freshness.said)])
    yield "A history view has three columns more:\n"
    yield table(("column", "meaning"), _listed(own.HISTORY.items()))
    yield "The columns of `freshness`:\n"
    yield table(("column", "meaning"), _listed(own.FRESHNESS.items()))


def _books() -> str:
    """What the loader, the reconciler and the command keep and read; no analyst needs them."""
    return table(("table or view", "what it holds"), _listed((each.name, each.said) for each in own.books()))


def _feed(feed: Feed, models: Models) -> str:
    into = made_into(feed)
    rows = [_source_cells(column, feed, into[column.name]) for column in models.source_columns(feed)]
    shown = table(("column", "type", "NULL", "meaning", "becomes"), rows)
    rules = "".join(f"\nRule: {rule}.\n" for rule in feed.row.rules)
    return f"### {feed.name}\n\n{sentence(feed.row)} {_goes_to(feed)}\n\n{shown}{rules}"


def _goes_to(feed: Feed) -> str:
    key = f"Key `{feed.key}`, version {feed.contract} of its contract."
    made = "" if feed.star is None else f" Becomes [{feed.star.table}](#{feed.star.table})."
    return f"{key}{made}"


def _source_cells(column: Described, feed: Feed, into: tuple[str, ...]) -> tuple[str, ...]:
    """A joined column shows the table it is read from."""
    own_table = _table_of(feed, column.name) == feed.name
    said = column.meaning if own_table else f"{column.meaning} Read from `{_table_of(feed, column.name)}`."
    if column.reference is not None:
        said += f" Refers to [{column.reference.table}](#{column.reference.table})."
    if column.secret:
        said = f"**Secret.** {said}"
    return (f"`{column.name}`", column.type, _null(column), said, ", ".join(f"`{name}`" for name in into))


def _table_of(feed: Feed, name: str) -> str:
    return feed.join.table if feed.join is not None and name in feed.join.columns else feed.name


def _listed(said: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(f"`{name}`", meaning) for name, meaning in said]


def _null(column: Described) -> str:
    return _yes(column.nullable)


def _yes(nullable: bool) -> str:  # noqa: FBT001 - a cell of a table
    return "yes" if nullable else "no"
