"""What is wrong with a source is said in sentences; it stops its feed alone, and only while it lasts."""

import pytest

from contracts.feeds import FEEDS
from shared.totesys.catalog import examine
from tests.poller.conftest import Bench, design

ALL = list(FEEDS.values())


def findings(bench: Bench, schema: str = "public"):
    with bench._connect() as connection:
        return examine(connection, ALL, schema)


def test_a_source_as_it_should_be_has_no_problem_and_one_note(bench: Bench):
    found = findings(bench)

    assert found.problems == ()
    assert found.notes == ("The table public._prisma_migrations is no business data: not polled.",)


@pytest.mark.parametrize(
    ("change", "feeds", "sentence"),
    [
        (
            "ALTER TABLE design DROP COLUMN file_name",
            {"design"},
            "column public.design.file_name (text) and found none",
        ),
        (
            "ALTER TABLE design RENAME COLUMN last_updated TO changed",
            {"design"},
            "public.design.last_updated (timestamp)",
        ),
        ("DROP TABLE payment", {"payment"}, "Expected the table public.payment in the source and found none"),
        ("REVOKE SELECT ON department FROM totes_reader", {"department", "staff"}, "GRANT SELECT ON public.department"),
        (
            "ALTER TABLE department ALTER location TYPE int USING 1",
            {"department", "staff"},
            "public.department.location to be of the text family and found int4",
        ),
        (
            "ALTER TABLE design ALTER last_updated TYPE timestamptz",
            {"design"},
            "to be of the timestamp family and found timestamptz",
        ),
        (
            "ALTER TABLE payment ALTER payment_amount TYPE float8",
            {"payment"},
            "to be of the numeric family and found float8",
        ),
        (
            "ALTER TABLE currency RENAME TO money; CREATE VIEW currency AS SELECT * FROM money",
            {"currency"},
            "Expected public.currency to be a table and found a view",
        ),
    ],
)
def test_a_source_that_breaks_a_contract_is_told_by_feed(bench: Bench, change: str, feeds: set[str], sentence: str):
    bench.run(change)

    found = findings(bench)

    assert set(found.feeds) == feeds
    assert all(sentence in " ".join(said) for said in found.feeds.values())
    assert len(found.problems) == 1


def test_types_of_one_family_are_alike(bench: Bench):
    bench.run(
        "CREATE TYPE kind AS ENUM ('SALE', 'PURCHASE');"
        "CREATE DOMAIN label AS varchar(40); CREATE DOMAIN name2 AS label;"
        "ALTER TABLE transaction ALTER transaction_type TYPE kind USING transaction_type::kind;"
        "ALTER TABLE design ALTER design_name TYPE char(20), ALTER file_name TYPE name2, ALTER file_location TYPE text,"
        " ALTER created_at TYPE timestamp(0); ALTER TABLE payment ALTER payment_id TYPE bigint;"
        "ALTER TABLE sales_order ALTER units_sold TYPE smallint, ALTER unit_price TYPE numeric(10, 2)"
    )

    assert findings(bench).problems == ()


def test_new_columns_and_tables_are_noted(bench: Bench):
    bench.run("ALTER TABLE design ADD COLUMN colour text; CREATE TABLE refund (id int)")

    assert set(findings(bench).notes) >= {
        "The column public.design.colour is unknown to the contracts: ignored.",
        "The table public.refund is unknown to the contracts: not polled.",
    }


def test_a_schema_that_is_missing_or_closed_is_said_once(bench: Bench):
    bench.run("CREATE SCHEMA closed")

    assert "Expected the schema 'nowhere'" in findings(bench, "nowhere").source[0]
    assert "GRANT USAGE ON SCHEMA" in findings(bench, "closed").source[0]


@pytest.mark.parametrize(
    ("breaks", "mends"),
    [
        ("ALTER TABLE design RENAME COLUMN file_name TO f", "ALTER TABLE design RENAME COLUMN f TO file_name"),
        ("REVOKE SELECT ON design FROM totes_reader", "GRANT SELECT ON design TO totes_reader"),
        ("ALTER TABLE design RENAME TO d", "ALTER TABLE d RENAME TO design"),
        (
            "ALTER TABLE design ALTER file_location TYPE int USING 1",
            "ALTER TABLE design ALTER file_location TYPE text USING 'x'",
        ),
    ],
)
def test_a_broken_feed_stops_alone_and_resumes_when_mended(bench: Bench, breaks: str, mends: str):
    design(bench.writer(), 1)
    poller = bench.started("design", "currency")
    bench.run(breaks)
    bench.run("INSERT INTO currency (currency_code) VALUES ('GBP')")

    broken = bench.polled(poller)
    stopped = bench.checkpoint().feed("design").stopped
    bench.run(mends)
    design(bench.writer(), 2)
    bench.clock.seconds += 60
    mended = bench.polled(poller)

    assert {batch.data["feed"] for batch in broken} == {"currency"}
    assert stopped is not None
    assert "public.design" in stopped
    assert "2" in {row["design_id"] for batch in mended for row in batch.rows}
    assert poller.checkpoint.feed("design").stopped is None


def test_a_new_column_is_ignored_and_an_answer_names_what_is_stopped(bench: Bench):
    poller = bench.started("design")
    bench.run("ALTER TABLE design ADD COLUMN colour text DEFAULT 'red'")
    design(bench.writer(), 2)

    [batch] = bench.polled(poller)

    assert "colour" not in batch.rows[0]
