"""A poll finds every row that became visible since the last one, whoever wrote it and however late it was committed."""

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from contracts.feeds import FEEDS
from contracts.messages import ROW_HASH
from shared.checkpoint import LEAST_KEY
from shared.errors import ConfigurationError
from shared.totesys.session import Source
from shared.totesys.snapshot import Conditions
from shared.totesys.sql import LOOK
from tests.poller.archived import latest, receive
from tests.poller.conftest import Bench, design

STATEMENTS_OF_A_GLANCE = 9
"""The pulse, the look, the snapshot, its vitals and list, where tables lie, what is asked for, the answer, the end."""


def ids(batches) -> list[str]:
    return [next(iter(row.values())) for batch in batches for row in batch.rows]


def test_the_first_poll_reads_everything_as_a_backfill_without_freshness(bench: Bench):
    for number in (1, 2, 3):
        design(bench.writer(), number, at="2022-11-03 14:20:49.962")
    poller = bench.poller("design")
    assert poller.claim()

    [batch] = bench.polled(poller)

    assert ids([batch]) == ["1", "2", "3"]
    assert (batch.data["origin"], batch.data["since"]) == ("backfill", None)
    assert batch.event["type"] == "totesys.design.changed.v1"


def test_a_new_row_is_sent_once_with_the_clocks_around_it(bench: Bench):
    poller = bench.started("design")
    before = poller.checkpoint.feed("design").as_of
    design(bench.writer(), 7)

    [batch] = bench.polled(poller)
    again = bench.polled(poller)

    assert ids([batch]) == ["7"]
    assert batch.data["origin"] == "poll"
    assert batch.data["since"] == before.isoformat().replace("+00:00", "Z")
    assert batch.data["as_of"] > batch.data["since"]
    assert again == []


def test_an_older_transaction_that_commits_last_is_read_back_for(bench: Bench):
    late, early = bench.writer(), bench.writer()
    poller = bench.started("design", margin_seconds=0.001)
    late.run("BEGIN")
    design(late, 1)
    design(early, 2)
    first = bench.polled(poller)
    bench.polled(poller)
    late.run("COMMIT")

    second = bench.polled(poller)

    assert (ids(first), ids(second)) == (["2"], ["1"])


def test_rows_of_savepoints_are_found_however_many_there_are(bench: Bench):
    late = bench.writer()
    poller = bench.started("design", margin_seconds=0.001)
    late.run("BEGIN")
    for number in range(1, 80):
        late.run("SAVEPOINT s")
        design(late, number)
        late.run("ROLLBACK TO s" if number % 3 == 0 else "RELEASE s")
    design(bench.writer(), 1000)
    assert ids(bench.polled(poller)) == ["1000"]
    late.run("COMMIT")

    found = bench.polled(poller)

    assert ids(found) == [str(number) for number in range(1, 80) if number % 3]


def many(bench: Bench, at: str = "now") -> None:
    """95 designs in one transaction, all with one timestamp."""
    bench.run(
        "INSERT INTO design (design_name, file_location, file_name, last_updated)"
        " SELECT 'a', 'b', i, CAST(:at AS timestamp) FROM generate_series(1, 95) i",
        at=at,
    )


ONE, TWO = (
    f"INSERT INTO design (design_id, design_name, file_location, file_name) VALUES ({key}, 'a', 'b', 'c')"
    for key in (1, 2)
)


@pytest.mark.parametrize("message", [f"BEGIN; {ONE}; COMMIT AND CHAIN; {TWO}; COMMIT", f"{ONE}; COMMIT; {TWO}"])
def test_several_transactions_in_one_message_are_found(bench: Bench, message: str):
    poller = bench.started("design")
    bench.run(message)

    found = bench.polled(poller)

    assert ids(found) == ["1", "2"]


def test_a_chained_transaction_is_found_when_it_commits_last(bench: Bench):
    late = bench.writer()
    poller = bench.started("design")
    late.run("BEGIN")
    design(late, 1)
    late.run("COMMIT AND CHAIN")
    design(late, 2)
    first = bench.polled(poller)
    late.run("COMMIT")

    second = bench.polled(poller)

    assert (ids(first), ids(second)) == (["1"], ["2"])


def test_a_transaction_open_at_the_very_first_poll_has_no_known_start_and_is_found(bench: Bench):
    late = bench.writer()
    late.run("BEGIN")
    design(late, 1, at="2001-01-01 00:00:00")
    poller = bench.started("design")
    late.run("COMMIT")

    found = bench.polled(poller)

    assert ids(found) == ["1"]


def test_an_idle_long_writer_stalls_neither_its_own_feed_nor_another(bench: Bench):
    idle = bench.writer()
    poller = bench.started("design", "currency")
    idle.run("BEGIN")
    design(idle, 1)
    as_of = []
    for number in range(2, 5):
        design(bench.writer(), number)
        assert ids(bench.polled(poller)) == [str(number)]
        as_of.append(poller.checkpoint.feed("design").as_of)

    idle.run("COMMIT")
    found = bench.polled(poller)

    assert as_of == sorted(set(as_of))
    assert ids(found) == ["1"]


def test_a_row_dated_ahead_by_an_application_s_clock_is_found(bench: Bench):
    poller = bench.started("design")
    design(bench.writer(), 1, at="2999-01-01 00:00:00")

    assert ids(bench.polled(poller)) == ["1"]


def test_a_row_that_changes_and_changes_back_is_sent_each_time(bench: Bench):
    design(bench.writer(), 1, "A", at="2022-01-01")
    poller = bench.started("design")
    names = []
    for name in ("B", "A", "B"):
        bench.run("UPDATE design SET design_name = :name", name=name)
        bench.scan_next()
        names += [row["design_name"] for batch in bench.polled(poller) for row in batch.rows]

    assert names == ["B", "A", "B"]


def test_a_silent_update_is_found_by_the_scan_and_by_nothing_sooner(bench: Bench):
    design(bench.writer(), 1, at="2022-01-01")
    poller = bench.started("design", margin_seconds=1)
    bench.run("UPDATE design SET file_location = '/private'")

    sooner = bench.polled(poller)
    bench.scan_next()
    [batch] = bench.polled(poller)

    assert sooner == []
    assert batch.rows[0]["file_location"] == "/private"
    assert batch.data["origin"] == "scan"
    assert batch.data["since"] is not None


def test_a_scan_of_more_rows_than_a_turn_goes_on_in_the_next_ones(bench: Bench):
    many(bench, at="2022-01-01")
    poller = bench.started("design", page_rows=10, pages_per_turn=2, margin_seconds=1)
    bench.run("UPDATE design SET file_location = '/private'")
    bench.scan_next()

    poller.poll()
    first_turn = receive(bench.aws)
    found = first_turn + bench.polled(poller)

    assert len(ids(first_turn)) == 20
    assert sorted(ids(found), key=int) == [str(number) for number in range(1, 96)]
    assert {batch.data["origin"] for batch in found} == {"scan"}


def test_a_table_too_large_is_never_scanned(bench: Bench):
    design(bench.writer(), 1, at="2022-01-01")
    bench.run("ANALYZE design")
    poller = bench.started("design", scan_max_rows=0, margin_seconds=1)
    bench.run("UPDATE design SET file_location = '/private'")
    bench.scan_next()

    assert bench.polled(poller) == []


@pytest.mark.parametrize("scan_max_rows", [0, 1_000_000], ids=["never scanned", "scanned"])
def test_truncate_and_reload_in_one_transaction_are_read_whole(bench: Bench, scan_max_rows: int):
    for number in (1, 2, 3):
        design(bench.writer(), number, at="2022-01-01")
    bench.run("ANALYZE design")
    poller = bench.started("design", scan_max_rows=scan_max_rows)
    bench.run(
        "BEGIN; CREATE TEMP TABLE kept AS SELECT * FROM design; TRUNCATE design CASCADE;"
        "INSERT INTO design SELECT * FROM kept; UPDATE design SET design_name = 'new' WHERE design_id = 2; COMMIT"
    )

    found = bench.polled(poller)

    assert ids(found) == ["2"]
    assert found[0].data["origin"] == "backfill"


def test_a_truncate_under_way_only_skips_that_feed(bench: Bench):
    design(bench.writer(), 1, at="2022-01-01")
    poller = bench.started("design", "currency")
    reloading = bench.writer()
    reloading.run("BEGIN; TRUNCATE design CASCADE")
    bench.run("INSERT INTO currency (currency_code) VALUES ('GBP')")

    during = bench.polled(poller)
    design(reloading, 2, at="2022-01-01")
    reloading.run("COMMIT")
    after = bench.polled(poller)

    assert [batch.data["feed"] for batch in during] == ["currency"]
    assert ids(after) == ["2"]


def test_a_partition_attached_with_old_rows_is_read_whole(bench: Bench):
    bench.run(
        "DROP TABLE sales_order, purchase_order, transaction, payment, design CASCADE;"
        "CREATE TABLE design (design_id int, created_at timestamp, design_name text, file_location text,"
        " file_name text, last_updated timestamp) PARTITION BY RANGE (design_id);"
        "CREATE TABLE design_1 PARTITION OF design FOR VALUES FROM (0) TO (100);"
        "CREATE TABLE design_2 (LIKE design); GRANT SELECT ON design, design_1, design_2 TO totes_reader"
    )
    bench.run("INSERT INTO design_2 VALUES (150, '2022-01-01', 'a', 'b', 'c', '2022-01-01')")
    poller = bench.started("design")
    bench.run("ALTER TABLE design ATTACH PARTITION design_2 FOR VALUES FROM (100) TO (200)")

    assert ids(bench.polled(poller)) == ["150"]


def test_a_change_of_the_joined_table_sends_its_rows_again(bench: Bench):
    bench.run(
        "INSERT INTO department (department_name, location) VALUES ('Sales', NULL), ('IT', 'Leds');"
        "INSERT INTO staff (first_name, last_name, department_id, email_address, last_updated)"
        " VALUES ('A', 'B', 1, 'c', '2022-01-01'), ('D', 'E', 2, 'f', '2022-01-01')"
    )
    poller = bench.started("staff")
    bench.run("UPDATE department SET location = 'Leeds', last_updated = '2030-01-01' WHERE department_id = 2")

    [batch] = bench.polled(poller)

    assert batch.rows[0]["staff_id"] == "2"
    assert batch.rows[0]["location"] == "Leeds"
    assert batch.rows[0]["last_updated"] == "2030-01-01 00:00:00"


def test_a_silent_change_of_the_joined_table_is_found_by_the_scan(bench: Bench):
    bench.run(
        "INSERT INTO department (department_name, location, last_updated) VALUES ('Sales', NULL, '2022-01-01');"
        "INSERT INTO staff (first_name, last_name, department_id, email_address, last_updated)"
        " VALUES ('A', 'B', 1, 'c', '2022-01-01')"
    )
    poller = bench.started("staff")
    bench.run("UPDATE department SET location = 'Leeds'")
    bench.scan_next()

    [batch] = bench.polled(poller)

    assert batch.rows[0]["location"] == "Leeds"


def test_nothing_new_costs_one_round_trip_and_still_moves_as_of(bench: Bench):
    counted = []
    poller = bench.started("design", "currency", wrap=lambda real: _Counting(real, counted))
    bench.drain(poller)
    before = poller.checkpoint.feed("design").as_of
    counted.clear()

    poller.poll()

    assert len(counted) == 1
    assert poller.checkpoint.feed("design").as_of > before
    assert poller.checkpoint.feed("currency").scanned.clock > before


@pytest.mark.parametrize("scan_is_due", [False, True])
def test_a_change_elsewhere_costs_one_look_at_all_feeds_together(bench: Bench, scan_is_due: bool):
    counted = []
    poller = bench.started(wrap=lambda real: _Counting(real, counted))
    before = poller.checkpoint.feeds
    bench.move()
    counted.clear()
    if scan_is_due:
        bench.scan_next()

    poller.poll()

    assert len(counted) == STATEMENTS_OF_A_GLANCE
    assert not any(sql.startswith("COPY") for sql in counted)
    for name, state in poller.checkpoint.feeds.items():
        assert state.as_of > before[name].as_of
        assert (state.scanned.clock > before[name].scanned.clock) == scan_is_due


def test_a_feed_that_cannot_be_locked_leaves_the_others_their_turn(bench: Bench):
    poller, altering = bench.started("design", "currency"), bench.writer()
    altering.run("BEGIN; LOCK TABLE design IN ACCESS EXCLUSIVE MODE")
    bench.move()
    before = poller.checkpoint.feeds

    bench.polled(poller)

    assert poller.checkpoint.feed("currency").as_of > before["currency"].as_of
    assert poller.checkpoint.feed("design").as_of == before["design"].as_of


class _Counting:
    def __init__(self, real, counted):
        self._real, self._counted = real, counted

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        self._counted.append(sql)
        return self._real.run(sql, **arguments)


def test_an_idle_poll_forgets_no_open_transaction(bench: Bench):
    late = bench.writer()
    poller = bench.started("design", margin_seconds=0.001)
    bench.drain(poller)
    late.run("BEGIN")
    late.run("SELECT now()")
    for _ in range(3):
        poller.poll()
    design(late, 1)
    poller.poll()
    late.run("COMMIT")

    assert ids(bench.polled(poller)) == ["1"]


def test_a_bulk_change_in_pages_does_not_starve_the_other_feeds(bench: Bench):
    poller = bench.started("design", "currency", page_rows=10, pages_per_turn=2)
    many(bench)
    bench.run("INSERT INTO currency (currency_code) VALUES ('GBP')")

    poller.poll()
    first_round = receive(bench.aws)
    rest = bench.polled(poller)

    assert {batch.data["feed"] for batch in first_round} == {"design", "currency"}
    assert len(ids(first_round)) == 21
    assert sorted(latest(first_round + rest, "design", "design_id"), key=int) == [str(n) for n in range(1, 96)]
    assert all(batch.data["object"]["rows"] <= 10 for batch in first_round + rest)


def test_what_changes_behind_a_backfill_is_read_after_it(bench: Bench):
    many(bench)
    poller = bench.poller("design", page_rows=10, pages_per_turn=2)
    assert poller.claim()
    poller.poll()
    bench.run("UPDATE design SET design_name = 'new', last_updated = now() WHERE design_id IN (3, 90)")
    design(bench.writer(), 0)

    found = bench.polled(poller)

    rows = latest(found, "design", "design_id")
    assert (rows["3"]["design_name"], rows["90"]["design_name"]) == ("new", "new")
    assert len(rows) == 96


def test_a_read_that_dies_goes_on_behind_its_last_page(bench: Bench):
    many(bench)
    first = bench.poller("design", page_rows=10, pages_per_turn=2)
    assert first.claim()
    first.poll()
    sent = receive(bench.aws)

    bench.let_the_lease_run_out()
    second = bench.poller("design", owner="b", page_rows=10, pages_per_turn=2)
    assert second.claim()
    rest = bench.polled(second)

    backfilled = [batch for batch in rest if batch.data["origin"] == "backfill"]
    assert ids(sent) + ids(backfilled) == [str(number) for number in range(1, 96)]


def test_the_time_zone_of_the_feed_decides_how_far_back_is_read(bench: Bench):
    poller = bench.started("design", time_zone="America/New_York", margin_seconds=1)
    bench.run(
        "INSERT INTO design (design_name, file_location, file_name, last_updated)"
        " VALUES ('a', 'b', 'c', now() AT TIME ZONE 'America/New_York')"
    )

    [batch] = bench.polled(poller)

    assert batch.data["time_zone"] == "America/New_York"


def test_a_time_zone_that_is_none_is_refused_in_words(bench: Bench):
    with pytest.raises(ConfigurationError, match=r"IANA zone such as Europe/London, found 'Leeds'"):
        bench.poller("design", time_zone="Leeds")


class Before:
    """A connection that does something once, just before the statement that begins so."""

    def __init__(self, real) -> None:
        self._real, self.beginning, self.action = real, None, None

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        if self.beginning is not None and sql.startswith(self.beginning):
            self.beginning = None
            self.action()
        return self._real.run(sql, **arguments)


def test_a_transaction_that_ends_while_another_feed_has_its_turn_keeps_its_start(bench: Bench):
    late, wrapped = bench.writer(), []
    poller = bench.started(
        "currency",
        "design",
        page_rows=1,
        pages_per_turn=1,
        margin_seconds=0.001,
        scan_max_rows=0,
        wrap=lambda real: wrapped.append(Before(real)) or wrapped[-1],
    )
    bench.run("INSERT INTO currency (currency_code) VALUES ('GBP'), ('USD'), ('EUR')")
    poller.poll()
    late.run("BEGIN")
    design(late, 1)
    wrapped[-1].beginning, wrapped[-1].action = LOOK, lambda: late.run("COMMIT")
    poller.poll()

    assert wrapped[-1].beginning is None
    assert "1" in latest(bench.polled(poller), "design", "design_id")


def test_a_snapshot_waits_for_a_reload_and_then_sees_its_rows(bench: Bench):
    design(bench.writer(), 1)
    reloading = bench.writer()
    reloading.run("BEGIN; TRUNCATE design CASCADE")
    design(reloading, 2)
    source = Source(bench._connect, schema="public", statement_timeout_seconds=60, lock_timeout_seconds=60)
    bench.opened.append(source)
    source.open()

    with ThreadPoolExecutor(1) as reader:
        read = reader.submit(_keys, source)
        while not bench.run("SELECT count(*) FROM pg_locks WHERE NOT granted")[0][0]:
            pass
        reloading.run("COMMIT")
        found = read.result()

    assert found == [b"2"]


def _keys(source: Source) -> list[bytes]:
    found = []
    sink = SimpleNamespace(writelines=lambda rows: found.extend(row.split(b"\t")[0] for row in rows))
    with source.snapshot(FEEDS["design"]) as seen:
        xmax = seen.vitals.snapshot.xmax
        source.copy(FEEDS["design"], Conditions(), sink, after=LEAST_KEY, limit=10, xmax=xmax)
    return found


class _Reading:
    """A connection that writes down how many rows of a feed each read gave."""

    def __init__(self, real, read):
        self._real, self._read = real, read

    def __getattr__(self, name):
        return getattr(self._real, name)

    def run(self, sql, **arguments):
        rows = self._real.run(sql, **arguments)
        if sql.startswith("COPY") and ROW_HASH in sql:
            self._read.append(self._real.row_count)
        return rows


def test_a_scan_reads_nothing_that_a_poll_has_read(bench: Bench):
    read = []
    poller = bench.started("design", wrap=lambda real: _Reading(real, read))
    read.clear()
    many(bench)
    bench.scan_next()

    found = bench.polled(poller)

    assert len(ids(found)) == 95
    assert read == [95, 0]


def test_a_row_that_a_poll_has_just_read_changes_silently_and_is_found_by_the_scan(bench: Bench):
    design(bench.writer(), 1, at="2022-01-01")
    poller = bench.started("design", margin_seconds=0.001)
    bench.run("UPDATE design SET design_name = 'new', last_updated = now()")
    poller.poll()
    receive(bench.aws)
    bench.run("UPDATE design SET design_name = 'silent'")
    bench.scan_next()

    [batch] = bench.polled(poller)

    assert (batch.data["origin"], batch.rows[0]["design_name"]) == ("scan", "silent")


def test_a_row_that_changes_silently_behind_a_first_scan_of_several_turns_is_found_by_the_second(bench: Bench):
    many(bench, at="2022-01-01")
    poller, open_long = bench.started("design", page_rows=10, pages_per_turn=2, margin_seconds=0.001), bench.writer()
    bench.run("UPDATE design SET file_location = '/private'")
    open_long.run("BEGIN")
    open_long.run("SELECT now()")
    poller._source.close()
    bench.scan_next()
    poller.poll()
    bench.run("UPDATE design SET design_name = 'new', last_updated = now() WHERE design_id = 1")
    poller.poll()
    bench.run("UPDATE design SET design_name = 'silent' WHERE design_id = 1")
    bench.polled(poller)
    open_long.run("COMMIT")
    bench.scan_next()

    [batch] = bench.polled(poller)

    assert (ids([batch]), batch.rows[0]["design_name"]) == (["1"], "silent")


def test_a_row_that_changes_silently_behind_a_poll_of_several_turns_is_found_by_the_scan_in_its_last(bench: Bench):
    for number in (1, 2):
        design(bench.writer(), number, at="2022-01-01")
    poller = bench.started("design", page_rows=1, pages_per_turn=1, margin_seconds=0.001)
    bench.scan_next()
    bench.drain(poller)
    bench.run("UPDATE design SET design_name = 'new', last_updated = now()")
    poller.poll()
    first_turn = receive(bench.aws)
    bench.run("UPDATE design SET design_name = 'silent' WHERE design_id = 1")
    bench.scan_next()

    found = bench.polled(poller)

    assert ids(first_turn) == ["1"]
    assert latest(found, "design", "design_id")["1"]["design_name"] == "silent"
