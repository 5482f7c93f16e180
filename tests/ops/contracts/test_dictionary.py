"""The data dictionary has every column with its meaning, and where it comes from is what the builders do."""

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from contracts import columnar, messages
from contracts.feeds import FEEDS, Feed
from contracts.fields import AsText, Family, Int, Text
from contracts.source import Row
from contracts.star import STAR_TABLES, Kind, Sql, StarRow
from services.loader import ddl
from services.ops.contracts.documents import own
from services.ops.contracts.documents.columns import TODAY, Models, made_into
from services.ops.contracts.documents.dictionary import dictionary
from services.ops.contracts.documents.lineage import MARKS, Change, origins
from services.ops.contracts.documents.meanings import constants, meanings, sentence
from services.ops.contracts.documents.values import LOGICAL, value
from services.transform.star import BUILDERS, UNKNOWN
from shared import parking
from shared.errors import ConfigurationError
from tests.conftest import open_connection

PAGE = dictionary(TODAY)
LOADED = [feed for feed in FEEDS.values() if feed.star is not None]


def section(title: str, page: str = PAGE) -> str:
    return re.split(r"^##", page.split(f"# {title}\n")[1], maxsplit=1, flags=re.M)[0]


def rows(title: str) -> dict[str, list[str]]:
    """The first cell of each row without its quotes, and the other cells."""
    found = [line.strip("|").split(" | ") for line in section(title).splitlines() if line.startswith("| `")]
    return {cells[0].strip(" `"): [cell.strip() for cell in cells[1:]] for cells in found}


@pytest.mark.parametrize("star", STAR_TABLES, ids=lambda star: star.table)
def test_every_star_column_has_a_row_with_its_type_null_and_meaning(star: type[StarRow]) -> None:
    found = rows(star.table)

    first = [] if star.record_id is None else [star.record_id]
    assert list(found) == [*first, *star.model_fields]
    assert {name: cells[:2] for name, cells in found.items() if name not in first} == {
        column.name: [column.sql, "yes" if column.nullable else "no"] for column in star.columns()
    }
    assert all(re.match(r"[A-Z].*\.", cells[2]) for cells in found.values())
    referring = {name: re.findall(r"Refers to \[(\w+)\]", cells[2]) for name, cells in found.items()}
    assert {name: target for name, [target] in ((n, t) for n, t in referring.items() if t)} == {
        column.name: column.references for column in star.columns() if column.references
    }


@pytest.mark.parametrize("feed", FEEDS.values(), ids=lambda feed: feed.name)
def test_every_source_column_has_a_row_with_null_meaning_and_whether_it_is_secret(feed: Feed) -> None:
    found = rows(feed.name)

    assert list(found) == list(feed.columns)
    assert {name: cells[1] == "yes" for name, cells in found.items()} == {
        name: columnar.nullable(feed.row, name) for name in feed.columns
    }
    assert {name for name, cells in found.items() if "**Secret.**" in cells[2]} == {
        name for name in feed.columns if columnar.is_secret(feed.row, name)
    }
    assert all(rule in section(feed.name) for rule in feed.row.rules)
    assert f"version {feed.contract} of its contract" in section(feed.name)


def test_a_column_whose_meaning_is_written_nowhere_is_refused_by_name() -> None:
    class ShoeRow(Row):
        """A row of `shoe`."""

        shoe_id: Int
        """Key of the shoe."""
        size: Int

    feed = Feed("shoe", "shoe_id", ShoeRow, None)

    with pytest.raises(ConfigurationError, match="what size means, found none in ShoeRow"):
        Models({"shoe": feed}, ()).source_columns(feed)


def test_a_star_table_that_nothing_builds_is_refused_by_name() -> None:
    class DimShoe(StarRow):
        """A shoe."""

        table = "dim_shoe"
        key = "currency_id"

        currency_id: Annotated[int, Sql("int")]

    feed = replace(FEEDS["currency"], star=DimShoe)

    with pytest.raises(ConfigurationError, match="a function that builds dim_shoe, found none"):
        origins(feed)


def test_a_field_of_a_type_that_no_document_knows_is_refused_by_name() -> None:
    class ShoeRow(Row):
        """A row of `shoe`."""

        shoe_id: Annotated[UUID, AsText(Family.TEXT)]

    with pytest.raises(ConfigurationError, match=r"type of ShoeRow.shoe_id, found UUID"):
        value(ShoeRow, "shoe_id")


def test_every_type_that_may_be_documented_has_marks_to_trace_it_by() -> None:
    assert set(MARKS) == set(LOGICAL)
    assert all(usual != other and type(usual) is type(other) is kind for kind, (usual, other) in MARKS.items())


def test_a_meaning_is_one_line_stands_below_its_field_or_below_the_name_that_annotates_it() -> None:
    class First(BaseModel):
        """A first
        sentence.

        And more.
        """

        kept: int
        """Kept
        by the second."""
        replaced: int
        """As the first says."""

    class Second(First):
        """Without more."""

        replaced: int
        """As the second says."""
        silent: Annotated[int, "a marker"]

    assert meanings(Second) == {"kept": "Kept by the second.", "replaced": "As the second says."}
    assert sentence(First) == "A first sentence."
    assert meanings(FEEDS["design"].row)["created_at"] == "When the row was made."
    assert meanings(messages.LoadBatchData)["page"].startswith("Running number")
    assert constants(parking)["REASON"] == "The sentence for the operator."


def test_a_joined_column_means_what_it_means_in_its_own_table() -> None:
    staff = {column.name: column.meaning for column in TODAY.source_columns(FEEDS["staff"])}
    department = {column.name: column.meaning for column in TODAY.source_columns(FEEDS["department"])}

    assert meanings(FEEDS["staff"].row).keys().isdisjoint({"department_name", "location"})
    assert staff["location"] == department["location"]
    assert "Read from `department`." in rows("staff")["location"][2]
    assert rows("dim_staff")["location"][3] == "`department.location`, 'Unknown' for NULL"


VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: st.integers(-(2**31), 2**31 - 1),
    str: st.sampled_from(["GBP", "USD", "EUR", "", "DEM", "O'Keefe"]),
    bool: st.booleans(),
    Decimal: st.decimals(0, 10**6, places=2),
    date: st.dates(date(1990, 1, 1), date(2100, 1, 1)),
    datetime: st.datetimes(datetime.fromisoformat("1990-01-01"), datetime.fromisoformat("2100-01-01")),
}


def drawn(feed: Feed) -> st.SearchStrategy[dict[str, Any]]:
    """Any row of a feed, NULL where it may be."""
    return st.fixed_dictionaries(
        {
            name: VALUES[value(feed.row, name).python]
            | (st.none() if columnar.nullable(feed.row, name) else st.nothing())
            for name in feed.columns
        }
    )


def built(feed: Feed, row: dict[str, Any]) -> dict[str, str]:
    assert feed.star is not None
    made = BUILDERS[feed.star.table]({name: [held] for name, held in row.items()})
    return {name: str(values.tolist()[0]) for name, values in made.items()}


@pytest.mark.parametrize("feed", LOADED, ids=lambda feed: feed.name)
@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_a_star_column_follows_from_the_source_columns_it_is_said_to_come_from(feed: Feed, data: st.DataObject) -> None:
    row, other = data.draw(drawn(feed)), data.draw(drawn(feed))

    for column, origin in origins(feed).items():
        mixed = {**other, **{name: row[name] for name in origin.columns}}
        assert built(feed, mixed)[column] == built(feed, row)[column]


@pytest.mark.parametrize("feed", LOADED, ids=lambda feed: feed.name)
def test_every_star_column_of_a_feed_comes_from_the_source_and_says_how(feed: Feed) -> None:
    assert feed.star is not None

    assert set(origins(feed)) == set(feed.star.model_fields)
    back = {name for columns in made_into(feed).values() for name in columns}
    assert back == set(feed.star.model_fields)


def test_what_becomes_of_a_value_is_said() -> None:
    sales, currency, staff = (origins(FEEDS[name]) for name in ("sales_order", "currency", "staff"))

    assert (sales["created_date"].change, sales["created_time"].change) == (Change.DATE, Change.TIME)
    assert (sales["unit_price"].change, sales["agreed_delivery_date"].change) == (Change.NONE, Change.NONE)
    assert currency["currency_name"].change is Change.COMPUTED
    assert {name for name, origin in staff.items() if origin.unknown} == {"department_name", "location"}
    assert built(FEEDS["staff"], {**dict.fromkeys(FEEDS["staff"].columns), "staff_id": 1})["location"] == UNKNOWN


def test_secrets_become_nothing() -> None:
    becomes = made_into(FEEDS["payment"])

    assert (becomes["company_ac_number"], becomes["counterparty_ac_number"]) == ((), ())


def test_the_diagram_has_eleven_tables_with_all_their_columns_and_a_line_for_each_pair() -> None:
    [drawing] = re.findall(r"^```mermaid\nerDiagram\n(.*?)^```", PAGE, re.M | re.S)
    lines = {frozenset(re.findall(r"\w{2,}", line)) for line in drawing.splitlines() if "--" in line}
    entities = dict(re.findall(r"^    (\w+) \{\n(.*?)^    \}", drawing, re.M | re.S))

    assert lines == {
        frozenset((star.table, column.references))
        for star in STAR_TABLES
        for column in star.columns()
        if column.references
    }
    assert list(entities) == [star.table for star in STAR_TABLES]
    for star in STAR_TABLES:
        assert [line.split()[1] for line in entities[star.table].splitlines()] == list(rows(star.table))
        assert entities[star.table].count("FK") == sum(column.references is not None for column in star.columns())
        assert entities[star.table].count("PK") == 1


def test_every_link_within_the_page_leads_to_a_heading_and_every_other_to_a_file() -> None:
    headings = {title.lower().replace(" ", "-") for title in re.findall(r"^#+ (.*)$", PAGE, re.M)}
    links = re.findall(r"\]\(([^)]+)\)", PAGE)

    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []
    docs = Path(__file__).parents[3] / "docs"
    assert [link for link in links if not link.startswith("#") and not (docs / link).exists()] == []


def test_the_warehouse_has_the_columns_of_the_dictionary_and_no_others(new_database: Callable[[str], str]) -> None:
    """A real one, made by the DDL: predefined columns, then our own, and the views."""
    dsn = new_database("warehouse")
    with open_connection(dsn) as connection:
        connection.run(ddl.star_schema())
        found = connection.run(
            "SELECT table_name::text, column_name::text, is_nullable = 'YES' FROM information_schema.columns "
            "WHERE table_schema = 'public' ORDER BY table_name, ordinal_position"
        )
    tables: dict[str, dict[str, bool]] = {}
    for table, column, nullable in found:
        tables.setdefault(table, {})[column] = nullable
    kept = own.kept(STAR_TABLES)

    for star in STAR_TABLES:
        said = {name: cells[1] == "yes" for name, cells in rows(star.table).items()}
        said |= {each.name: each.nullable for each in kept if star.table in each.tables}
        assert tables[star.table] == said
    for fact in own.facts(STAR_TABLES):
        current, history = own.views(fact)
        assert list(tables[current.name]) == list(rows(fact.table))
        assert list(tables[history.name]) == [*rows(fact.table), *own.HISTORY]
    assert list(tables["freshness"]) == list(own.FRESHNESS)
    assert set(tables) == {f"{name}" for name in own.relations()}
    assert set(rows("Books")) == {name for name in tables if name.startswith("_")}


def test_our_own_columns_and_views_are_all_in_the_page() -> None:
    assert set(rows("What the warehouse keeps for itself")) == set(own.KEPT)
    views = rows("Views")
    facts = [star for star in STAR_TABLES if star.kind() is Kind.FACT]
    assert {view.name for fact in facts for view in own.views(fact)} | {"freshness"} <= set(views)
    assert set(own.HISTORY) | set(own.FRESHNESS) <= set(views)


def test_a_text_field_of_another_module_says_nothing_of_what_a_column_means() -> None:
    """`Text` explains a type; only a name of the model's own module explains a column."""

    class Bare(Row):
        """A row."""

        name: Text

    assert meanings(Bare) == {}
