"""A first read of more rows than are remembered leaves their hashes to the transform, and nothing else changes."""

from typing import Any

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ROW_HASH, ChangeBatch
from services.poller import reading
from services.transform.archive import decode
from services.transform.incoming import feed_of
from services.transform.row_hash import row_hashes
from services.transform.transform import transform
from shared.totesys import sql
from shared.totesys.session import Source
from tests.conftest import Server
from tests.poller.archived import receive
from tests.poller.conftest import Bench, design
from tests.poller.test_values import seed


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A table of one page on disk is estimated at 81 rows."""
    monkeypatch.setattr(reading, "MEMORY_KEYS", 50)
    monkeypatch.setattr(reading, "BULK_ROWS", 3)


def designs(bench: Bench, *numbers: int) -> None:
    for number in numbers:
        design(bench.writer(), number)


def first_read(bench: Bench, **settings: Any) -> Any:
    poller = bench.poller("design", page_rows=2, pages_per_turn=2, **settings)
    assert poller.claim()
    return poller


def test_rows_of_a_large_first_read_come_without_hashes_which_are_the_sources_all_the_same(bench: Bench):
    designs(bench, *range(1, 8))
    poller = first_read(bench)

    batches = bench.polled(poller)

    assert [[row["design_id"] for row in batch.rows] for batch in batches] == [
        ["1", "2"],
        ["3", "4"],
        ["5", "6"],
        ["7"],
    ]
    for batch in batches:
        assert ROW_HASH not in batch.data["columns"]
        event = ChangeBatch.model_validate(batch.event)
        assert feed_of(event) is FEEDS["design"]
        body = bench.aws.s3.get_object(Bucket=bench.aws.archive, Key=event.data.object.key)["Body"].read()
        made = row_hashes([*decode(body, event.data.columns, event.data.object.rows, "it").values()])
        keys = [int(str(row["design_id"])) for row in batch.rows]
        assert made.tolist() == [hash_in_source(bench, key) for key in keys]


def hash_in_source(bench: Bench, key: int) -> int:
    texts = ", ".join(f"{column}::text" for column in FEEDS["design"].columns)
    [[found]] = bench.run(f"SELECT hash_record_extended(ROW({texts}), 0) FROM design WHERE design_id = {key}")
    return int(found)


def test_what_changes_after_it_is_sent_with_its_hash_and_an_equal_row_once(bench: Bench):
    designs(bench, 1, 2, 3)
    poller = first_read(bench)
    bench.polled(poller)
    bench.run("UPDATE design SET design_name = 'other', last_updated = now() WHERE design_id = 2")

    [batch] = bench.polled(poller)
    again = bench.polled(poller)

    assert [row["design_id"] for row in batch.rows] == ["2"]
    assert batch.rows[0][ROW_HASH] == str(hash_in_source(bench, 2))
    assert again == []


def test_a_deletion_and_a_hidden_change_behind_it_are_found_once_the_scan_has_its_turn(bench: Bench):
    designs(bench, *range(1, 6))
    poller = first_read(bench)
    bench.polled(poller)
    bench.clock.seconds += reading.BULK_PAUSE_SECONDS
    bench.move()
    bench.polled(poller)
    bench.run("DELETE FROM design WHERE design_id = 4")
    bench.run("UPDATE design SET design_name = 'hidden' WHERE design_id = 1")
    bench.scan_next()

    batches = bench.polled(poller)

    assert [[row["design_id"] for row in batch.rows] for batch in batches] == [["1"], ["4"]]


def test_a_second_bulk_read_puts_off_no_scan_that_waits_already(bench: Bench):
    designs(bench, *range(1, 6))
    poller = first_read(bench)
    bench.polled(poller)
    bench.clock.seconds += reading.BULK_PAUSE_SECONDS - 1
    bench.run("UPDATE design SET last_updated = now()")
    bench.polled(poller)
    bench.run("UPDATE design SET design_name = 'hidden', last_updated = '2020-01-01' WHERE design_id = 1")
    assert bench.polled(poller) == []
    bench.clock.seconds += 1

    [batch] = bench.polled(poller)

    assert (batch.data["origin"], [row["design_id"] for row in batch.rows]) == ("scan", ["1"])


def test_each_feed_comes_to_the_same_star_rows_with_hashes_and_without(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    """Flags, money, times and padded or escaped texts, each as a cast would write it."""
    seed(bench)
    bench.run("INSERT INTO department (department_name, location) VALUES (E'tab\\there', ' padded '), ('', E'\\\\N')")
    found = []
    for rows_remembered, hashed in ((0, False), (1_000_000, True)):
        monkeypatch.setattr(reading, "MEMORY_KEYS", rows_remembered)
        bench.aws.s3.delete_object(Bucket=bench.aws.control, Key="checkpoint.json")
        poller = bench.poller(owner=f"with {rows_remembered}")
        assert poller.claim()
        receive(bench.aws)
        batches = [ChangeBatch.model_validate(batch.event) for batch in bench.polled(poller)]
        assert {ROW_HASH in batch.data.columns for batch in batches} == {hashed}
        found.append({batch.data.feed: star_rows(bench, batch) for batch in batches})

    assert set(found[0]) == set(FEEDS)
    assert found[0] == found[1]


def star_rows(bench: Bench, batch: ChangeBatch) -> bytes | None:
    """The Parquet file that the transform makes of a change batch."""
    body = bench.aws.s3.get_object(Bucket=bench.aws.archive, Key=batch.data.object.key)["Body"].read()
    file = transform(batch, feed_of(batch), body).parquet
    return None if file is None else file.body


def test_a_source_that_hashes_otherwise_is_asked_for_every_hash(bench: Bench, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Source, "hashes_alike", lambda self, feed: False)
    designs(bench, 1)

    [batch] = bench.polled(first_read(bench))

    assert batch.rows[0][ROW_HASH] == str(hash_in_source(bench, 1))


def test_a_small_table_or_one_of_which_rows_are_remembered_comes_with_hashes(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
):
    designs(bench, 1, 2)
    poller = bench.started("design", page_rows=2)
    bench.run("CREATE TABLE moved (LIKE design INCLUDING ALL); INSERT INTO moved SELECT * FROM design")
    bench.run("ALTER TABLE design RENAME TO gone; ALTER TABLE moved RENAME TO design; GRANT SELECT ON design TO PUBLIC")

    whole = bench.polled(poller)

    assert all(ROW_HASH in batch.data["columns"] for batch in whole)
    monkeypatch.setattr(reading, "MEMORY_KEYS", 1_000)
    fresh = bench.poller("design", owner="b")
    bench.let_the_lease_run_out()
    assert fresh.claim()
    assert all(ROW_HASH in batch.data["columns"] for batch in receive(bench.aws))


def test_hashes_follow_from_texts_only_where_text_is_compared_by_its_bytes(bench: Bench):
    asked = sql.hashes_alike(FEEDS["design"], "public")
    assert bench.run(asked) == [[True]]

    # Not every build of Postgres has ICU, which alone makes collations that call different texts equal.
    bench.run("CREATE COLLATION any_case (provider = libc, locale = 'C')")
    bench.run("UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'any_case'")
    bench.run("ALTER TABLE design ALTER design_name TYPE text COLLATE any_case")

    assert bench.run(asked) == [[False]]


def test_a_source_of_another_encoding_is_told_apart_and_can_read_the_question(server: Server):
    name = "totesys_latin1"
    with server.connect() as connection:
        connection.run(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'LATIN1' LOCALE_PROVIDER libc LOCALE 'C'")
    try:
        with server.connect(name) as connection:
            connection.run("CREATE TABLE design (design_id int, design_name text)")
            assert connection.run(sql.hashes_alike(FEEDS["design"], "public")) == [[False]]
    finally:
        with server.connect() as connection:
            connection.run(f"DROP DATABASE {name}")
