"""The simulator survives lost connections, goes on where it stopped, and says what a person must mend."""

from collections import Counter
from dataclasses import replace

import pytest

from services.local.simulator import Kind, Simulator, SimulatorOptions
from services.local.simulator.apply import ChangeKind
from services.local.simulator.plan import Shares
from shared.errors import ConfigurationError, PipelineError
from shared.postgres import Dsn
from tests.simulator.conftest import LIVELY, Clock, live, read_journal, read_table
from tests.simulator.test_life import ORPHANS, PAYMENTS

KILL = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'totes-simulator' AND datname = current_database()
"""
LATE = replace(LIVELY, shares=Shares(late_order=20), late_seconds=2)


def test_lost_connections_lose_their_transactions_and_nothing_else(totesys):
    clock = Clock(seconds=2)
    with totesys.connect() as connection:
        naps = iter(range(10**9))
        killed = []
        clock.on_sleep = lambda: killed.extend(connection.run(KILL)) if next(naps) % 8 == 5 else None

        simulator = live(totesys.dsn, LIVELY, clock)

        assert len(killed) > 5
        assert sum(simulator.counts.values()) == len(read_journal(connection)) > 200
        assert connection.run(ORPHANS) == [[0, 0, 0, 0]]
        ((payments, exact),) = connection.run(PAYMENTS)
        assert payments == exact


def test_a_late_order_whose_connection_is_lost_is_not_counted(totesys):
    clock = Clock(seconds=1)
    with totesys.connect() as connection:
        clock.on_sleep = lambda: connection.run(KILL)
        simulator = live(totesys.dsn, LATE, clock)

        assert simulator.counts[Kind.LATE_ORDER] == 0
        assert len(read_journal(connection)) == sum(simulator.counts.values())


def test_a_source_that_is_away_is_waited_for_until_the_stop(tmp_path):
    clock = Clock(seconds=10)

    simulator = Simulator(f"postgresql://a@/b?host={tmp_path}", LIVELY, now=clock.now, sleep=clock.sleep)
    simulator.run(clock.stop)

    assert set(simulator.counts.values()) == {0}
    assert set(simulator.counts) == set(Kind)


def test_a_source_that_goes_away_and_comes_back_is_used_again(totesys, tmp_path):
    """The simulator finds the server through a link, which is taken away for three naps."""
    dsn, clock = Dsn.parse(totesys.dsn), Clock(seconds=8)
    link = tmp_path / f".s.PGSQL.{dsn.port}"
    naps = iter(range(10**9))
    with totesys.connect() as connection:

        def come_and_go():
            nap = next(naps)
            if nap == 30:
                link.unlink()
                connection.run(KILL)
            if nap == 33:
                link.symlink_to(f"{dsn.host}/{link.name}")

        link.symlink_to(f"{dsn.host}/{link.name}")
        clock.on_sleep = come_and_go

        simulator = live(totesys.dsn.replace(dsn.host, str(tmp_path)), LIVELY, clock)

        assert next(naps) > 200
        assert sum(simulator.counts.values()) == len(read_journal(connection)) > 1000


def test_a_second_run_goes_on_with_the_calendar_and_other_draws(totesys):
    live(totesys.dsn, LIVELY, Clock(seconds=1))
    with totesys.connect() as connection:
        first = read_table(connection, "payment")

        live(totesys.dsn, LIVELY, Clock(seconds=1))

        both = read_table(connection, "payment")
        paid = Counter(
            it.change.key
            for it in read_journal(connection)
            if it.change.feed == "payment" and it.change.kind is ChangeKind.UPDATED
        )
    later = [row for key, row in both.items() if key not in first]
    last_paid = max(row["payment_date"] for row in first.values() if row["paid"])
    assert min(row["payment_date"] for row in later) > last_paid
    assert max(row["payment_date"] for row in both.values() if row["paid"]) > last_paid
    assert set(paid.values()) == {1}
    accounts = {row["company_ac_number"] for row in first.values()}
    assert not accounts & {row["company_ac_number"] for row in later}


def test_a_stop_commits_what_is_open(totesys):
    simulator = live(totesys.dsn, replace(LATE, late_seconds=1000), Clock(seconds=1))

    assert simulator.counts[Kind.LATE_ORDER] == 4 * 3
    with totesys.connect() as connection:
        assert connection.run(ORPHANS) == [[0, 0, 0, 0]]


def test_late_orders_never_take_all_connections(totesys):
    simulator = live(totesys.dsn, replace(LATE, late_seconds=1000), Clock(seconds=1))

    assert simulator.counts[Kind.ORDER] > 100


def test_with_every_connection_taken_the_first_due_commits_early(totesys):
    hurried = replace(LIVELY, changes_per_second=10_000)

    simulator = live(totesys.dsn, hurried, Clock(seconds=0.1))

    assert sum(simulator.counts.values()) == pytest.approx(1000, rel=0.05)


def test_without_a_journal_nothing_but_totesys_is_touched(totesys):
    live(totesys.dsn, replace(LIVELY, journal=False), Clock(seconds=0.3))

    with totesys.connect() as connection:
        assert connection.run("SELECT to_regnamespace('totes_journal')") == [[None]]


def test_an_empty_totesys_with_no_orders_lives_too(totesys):
    simulator = live(totesys.dsn, replace(LIVELY, orders=0), Clock(seconds=1))

    assert sum(simulator.counts.values()) > 100


def test_a_totesys_with_nothing_in_it_ends_the_run_in_one_sentence(totesys):
    clock = Clock(seconds=1)

    with pytest.raises(PipelineError, match="null value in column"):
        Simulator(totesys.dsn, LIVELY, now=clock.now, sleep=clock.sleep).run(clock.stop)


def test_a_calendar_that_runs_in_real_time_pays_once_and_works_on(totesys):
    live(totesys.dsn, replace(LIVELY, compression=1), Clock(seconds=2))

    with totesys.connect() as connection:
        jobs = {
            it.txid for it in read_journal(connection) if it.change.feed == "payment" and it.change.kind == "updated"
        }
        days = {row["payment_date"] for row in read_table(connection, "payment").values() if row["paid"]}
    assert len(jobs) == 1
    assert max(days) == "2026-01-07"


def test_a_wrong_database_is_said_at_once(server):
    clock = Clock(seconds=1)
    simulator = Simulator(server.dsn("no_such_database"), SimulatorOptions(), now=clock.now, sleep=clock.sleep)

    with pytest.raises(ConfigurationError, match="no such database"):
        simulator.run(clock.stop)
