"""The embedded stack as a user runs it: real Postgres, an emulated AWS, the real functions, one process to kill.

The oracle computes every star table from the source by SQL of its own.
"""

import json
import signal
from pathlib import Path

import duckdb
import pytest

from contracts.feeds import FEEDS
from contracts.star import STAR_TABLES
from tests.e2e import oracle
from tests.e2e.command import PATIENCE_SECONDS, left_of, totes
from tests.e2e.silent import expect_exact_histories
from tests.e2e.stack import QUIET, Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("embedded")]
ODD_NAMES = (
    "O'Keefe",
    "Leds",
    "0730 783349",
    "",
    "\\N",
    'say "tote", twice',
    "a\tb\nc\rd\\e\\\\f",
    "👜 ✓ é",
    " padded ",
    "{1,2}",
    "\\.",
)


@pytest.fixture
def stack(quiet: Stack) -> Stack:
    """The stack that these tests only add rows to."""
    return quiet


def test_silent_updates_deletions_and_reinserts_arrive_by_the_scan_and_the_history_is_exact(stack: Stack) -> None:
    expect_exact_histories(stack)


def test_odd_values_arrive_unchanged(stack: Stack) -> None:
    with stack.source() as source:
        for name in ODD_NAMES:
            source.run(
                "INSERT INTO design (design_name, file_location, file_name) VALUES (:name, '/usr', :name)", name=name
            )
            source.run(
                "INSERT INTO address (address_line_1, address_line_2, district, city, postal_code, country, phone) "
                "VALUES (:name, NULL, '', :name, '00123', 'Bouvet Island (Bouvetoya)', '0730 783349')",
                name=name,
            )
        source.run(
            "INSERT INTO sales_order (created_at, last_updated, design_id, staff_id, counterparty_id, units_sold, "
            "unit_price, currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id) "
            "SELECT date_trunc('second', now()::timestamp), date_trunc('second', now()::timestamp), max(design_id), "
            "(SELECT min(staff_id) FROM staff), (SELECT min(counterparty_id) FROM counterparty), 1000, 2.50, "
            "(SELECT min(currency_id) FROM currency), '2031-02-28', '2199-12-31', "
            "(SELECT max(address_id) FROM address) FROM design"
        )

    stack.until_equal()

    with stack.warehouse() as warehouse:
        names = {row[1] for row in oracle.found(warehouse, stack.schema, "dim_design")}
        assert set(ODD_NAMES) <= names
        phones = {row[-1] for row in oracle.found(warehouse, stack.schema, "dim_location")}
        assert "0730 783349" in phones


def test_silent_updates_arrive(stack: Stack) -> None:
    with stack.source() as source:
        source.run("UPDATE sales_order SET agreed_delivery_date = '2030-01-01' WHERE sales_order_id % 50 = 3")
        source.run("UPDATE design SET file_location = '/silently/moved' WHERE design_id % 7 = 1")

    seconds = stack.until_equal()

    print(f"silent updates arrived after {seconds:.1f} s")


def test_department_and_address_changes_reach_every_dimension_that_shows_them(stack: Stack) -> None:
    with stack.source() as source:
        source.run(
            "UPDATE department SET department_name = 'Moved', location = NULL, last_updated = now() "
            "WHERE department_id = (SELECT min(department_id) FROM staff)"
        )
        source.run(
            "UPDATE address SET phone = '0000 000001', last_updated = now() "
            "WHERE address_id IN (SELECT legal_address_id FROM counterparty)"
        )

    stack.until_equal()


def test_a_key_update_of_many_rows_with_one_timestamp_makes_one_version_each(stack: Stack) -> None:
    with stack.source() as source, stack.warehouse() as warehouse:
        before = len(oracle.found(warehouse, stack.schema, "fact_payment", versions=True))
        source.run("UPDATE payment SET paid = NOT paid, last_updated = now() WHERE payment_id % 2 = 0")
        changed = source.row_count

        stack.until_equal()

        assert len(oracle.found(warehouse, stack.schema, "fact_payment", versions=True)) == before + changed


def test_deletions_arrive_with_the_next_reconcile_and_end_the_history(stack: Stack) -> None:
    with stack.source() as source, stack.warehouse() as warehouse:
        [[key]] = source.run("SELECT max(payment_id) FROM payment")
        source.run("DELETE FROM payment WHERE payment_id = :key", key=key)

        stack.until_equal()

        warehouse.run(f"SET search_path = {stack.schema}")
        history = "SELECT ended_by FROM history_payment WHERE payment_id = :key ORDER BY valid_from DESC LIMIT 1"
        assert warehouse.run(history, key=key) == [["deleted"]]
        assert warehouse.run("SELECT * FROM current_payment WHERE payment_id = :key", key=key) == []


def test_totes_reconcile_finds_what_was_edited_in_the_warehouse_and_mends_it(stack: Stack) -> None:
    assert totes("reconcile", "--deep", folder=stack.up.folder).returncode == 0
    with stack.warehouse() as warehouse:
        warehouse.run(f"SET search_path = {stack.schema}")
        warehouse.run(
            "UPDATE fact_sales_order SET units_sold = 0 WHERE sales_record_id IN"
            " (SELECT sales_record_id FROM fact_sales_order ORDER BY 1 LIMIT 10)"
        )

    seen = totes("reconcile", "--deep", "--dry-run", "--json", folder=stack.up.folder)
    mended = totes("reconcile", "--deep", folder=stack.up.folder)
    stack.until_equal()

    assert (seen.returncode, mended.returncode) == (1, 1)
    assert json.loads(seen.stdout)["feeds"]["sales_order"]["damaged"] == 10
    assert "10 restored" in mended.stdout
    assert totes("reconcile", "--deep", folder=stack.up.folder).returncode == 0


def test_parquet_opens_in_duckdb_with_its_types(stack: Stack, tmp_path: Path) -> None:
    s3, bucket = stack.client("s3"), stack.description["buckets"]["processed"]
    key = next(entry["Key"] for entry in s3.list_objects_v2(Bucket=bucket, Prefix="fact_sales_order/")["Contents"])
    s3.download_file(bucket, key, str(tmp_path / "orders.parquet"))

    columns = duckdb.sql(f"DESCRIBE SELECT * FROM '{tmp_path}/orders.parquet'").fetchall()

    types = {column[0]: column[1] for column in columns}
    assert types["created_date"] == "DATE"
    assert types["created_time"] == "TIME"
    assert types["unit_price"] == "DECIMAL(10,2)"
    assert types["sales_order_id"] == "INTEGER"


def test_no_object_of_either_bucket_was_ever_overwritten(stack: Stack) -> None:
    s3 = stack.client("s3")
    for name in ("archive", "processed"):
        bucket = stack.description["buckets"][name]
        assert s3.get_bucket_versioning(Bucket=bucket)["Status"] == "Enabled"

        pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket)
        keys = [entry["Key"] for page in pages for entry in page.get("Versions", ())]
        markers = [entry for page in pages for entry in page.get("DeleteMarkers", ())]

        assert len(keys) > 10
        assert len(keys) == len(set(keys))
        assert markers == []


def test_status_speaks_json(stack: Stack) -> None:
    status = json.loads(totes("status", "--json", folder=stack.up.folder).stdout)

    assert list(status["feeds"]) == list(FEEDS)
    assert {"rows_captured", "rows_loaded", "rows_quarantined", "as_of", "revision"} <= set(status["feeds"]["payment"])
    assert {"visible", "in_flight", "oldest_seconds", "parked"} <= set(status["queues"]["changes"])
    assert {"p50_ms", "p99_ms", "samples"} <= set(status["freshness"])
    assert status["freshness"]["p99_ms"] >= status["freshness"]["p50_ms"] > 0
    assert all(queue["parked"] == 0 for queue in status["queues"].values())


def test_a_second_up_beside_a_running_one_is_refused_in_a_sentence(stack: Stack) -> None:
    answer = totes("up", *QUIET, folder=stack.up.folder)

    assert answer.returncode == 2
    assert "Another `totes up` runs" in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_a_rebase_reads_every_feed_anew_in_a_new_generation(stack: Stack) -> None:
    before = stack.up.feeds()["sales_order"].generation

    assert totes("rebase", "--source-changed", folder=stack.up.folder).returncode == 0

    def renewed() -> bool:
        feeds = stack.up.feeds().values()
        return bool(feeds) and all(feed.generation == before + 1 for feed in feeds)

    stack.up.until("every feed to be read in the new generation", renewed)
    stack.until_equal()


def test_a_killed_up_is_brought_down_and_a_second_one_loses_nothing(tmp_path: Path) -> None:
    with running(tmp_path, "--simulate", "20", "--poll-interval", "0.25", "--orders", "200") as stack:
        stack.up.until("changes to flow", lambda: stack.up.samples() > 20)
        stack.up.process.send_signal(signal.SIGKILL)
        stack.up.process.wait()

    assert totes("down", folder=tmp_path).returncode == 0
    assert left_of(tmp_path) == []

    with running(tmp_path, *QUIET) as stack:
        stack.until_complete()
        with stack.warehouse() as warehouse:
            warehouse.run(f"SET search_path = {stack.schema}")
            sent_again = warehouse.run(
                "SELECT count(*) FROM (SELECT star_hash FROM _seen_sales_order GROUP BY key, star_hash "
                "HAVING count(*) > 3) AS often"
            )
        assert sent_again == [[0]], "the second run reads what is new, not everything again"
        assert stack.up.interrupt() == 0

    assert "totesys holds rows: it goes on from there" in stack.up.output
    assert "Drained: everything captured is loaded, quarantined or parked." in stack.up.output
    assert left_of(tmp_path) == []


def test_a_simulated_run_captures_and_loads_all_that_was_committed_and_leaves_nothing_behind(tmp_path: Path) -> None:
    with running(tmp_path, "--simulate", "30", "--poll-interval", "0.25", "--orders", "300") as stack:
        stack.up.until("changes to flow", lambda: stack.up.samples() > 200)
        stack.up.process.terminate()
        assert stack.up.process.wait(PATIENCE_SECONDS) == 0

    output = stack.up.output
    assert "Drained: everything captured is loaded, quarantined or parked." in output
    assert "\x1b" not in output
    rows = {words[0]: words[1] for line in output.splitlines() if len(words := line.split()) > 1}
    assert all(rows[model.table] != "0" for model in STAR_TABLES)
    for feed in ("sales_order", "purchase_order", "transaction", "payment", "design"):
        in_source, captured, loaded = _numbers(output, feed)
        assert in_source <= captured <= loaded, feed
    assert left_of(tmp_path) == []
    assert totes("status", folder=tmp_path).returncode == 3


def _numbers(output: str, feed: str) -> list[int]:
    """A feed's line of the summary: rows in the source, captured, loaded."""
    line = next(line for line in output.splitlines() if line.split()[:1] == [feed])
    return [int(word.replace(",", "")) for word in line.split()[1:4]]
