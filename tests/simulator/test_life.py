"""A totesys that has lived behaves as the real one does; asserted on the database."""

from collections import Counter
from datetime import date
from itertools import groupby, pairwise

import pytest

from contracts.feeds import FEEDS
from services.local.simulator import Kind
from services.local.simulator.apply import ChangeKind
from services.local.simulator.working_time import working_time
from shared.postgres import identifier
from tests.conftest import open_connection
from tests.simulator.conftest import LIVELY, WEDNESDAY, Clock, live, read_tables
from tests.simulator.test_plan import SILENT

ORPHANS = """
SELECT (SELECT count(*) FROM sales_order FULL JOIN transaction USING (sales_order_id)
         WHERE sales_order.design_id IS NULL AND transaction_type = 'SALE' OR transaction_id IS NULL),
       (SELECT count(*) FROM purchase_order FULL JOIN transaction USING (purchase_order_id)
         WHERE purchase_order.staff_id IS NULL AND transaction_type = 'PURCHASE' OR transaction_id IS NULL),
       (SELECT count(*) FROM transaction FULL JOIN payment USING (transaction_id)
         WHERE transaction_type IS NULL OR payment_id IS NULL),
       (SELECT count(*) FROM transaction WHERE num_nonnulls(sales_order_id, purchase_order_id) <> 1)
"""
PAYMENTS = """
SELECT count(*),
       count(*) FILTER (WHERE payment_amount = coalesce(units_sold * unit_price, item_quantity * item_unit_price)
                          AND payment_date = coalesce(s.agreed_payment_date, o.agreed_payment_date)
                          AND p.currency_id = coalesce(s.currency_id, o.currency_id)
                          AND p.counterparty_id = coalesce(s.counterparty_id, o.counterparty_id)
                          AND p.created_at = coalesce(s.created_at, o.created_at) AND p.created_at = t.created_at)
FROM payment p JOIN transaction t USING (transaction_id)
LEFT JOIN sales_order s USING (sales_order_id) LEFT JOIN purchase_order o USING (purchase_order_id)
"""


def changed(life, table):
    """Pairs of a row before and after, of those that were there before and changed."""
    before, after = life.before[table], life.after[table]
    pairs = [(before[key], after[key]) for key in before.keys() & after.keys()]
    return [(old, new) for old, new in pairs if old != new]


def changes(life, kind, feed=None):
    return [it for it in life.journal if it.change.kind is kind and feed in (None, it.change.feed)]


def transactions(life):
    """The journal's rows, one list a transaction, in the order of their commits."""
    return [list(rows) for _, rows in groupby(life.journal, key=lambda it: it.txid)]


def test_everything_that_happens_to_totesys_happened(life):
    assert all(count > 0 for count in life.counts.values())


def test_the_rate_is_kept(life):
    assert sum(life.counts.values()) == pytest.approx(4 * 300, rel=0.02)


def test_equal_seeds_and_clocks_end_in_equal_content(life, totesys):
    live(totesys.dsn, LIVELY, Clock(seconds=4))

    with totesys.connect() as connection:
        again = read_tables(connection)
    own = {"xmin", "created_at", "last_updated"}
    for table in FEEDS:
        content, expected = (
            {key: {name: value for name, value in row.items() if name not in own} for key, row in rows[table].items()}
            for rows in (again, life.after)
        )
        assert content == expected


def test_every_order_has_one_transaction_and_one_exact_payment_deletions_or_not(life):
    with open_connection(life.dsn) as connection:
        assert connection.run(ORPHANS) == [[0, 0, 0, 0]]
        ((payments, exact),) = connection.run(PAYMENTS)
    assert payments == exact == len(life.after["transaction"])
    assert len(changes(life, ChangeKind.DELETED)) > 0


def test_foreign_keys_hold(life):
    with open_connection(life.dsn) as connection:
        found = connection.run(
            "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE contype = 'f'"
        )
        for table, name, definition in found:
            connection.run(f"ALTER TABLE {identifier(table)} DROP CONSTRAINT {identifier(name)}")
            connection.run(f"ALTER TABLE {identifier(table)} ADD CONSTRAINT {identifier(name)} {definition}")
    assert len(found) == 17


def test_rows_carry_the_servers_clock_whatever_the_calendar_says(life):
    for table in FEEDS:
        for key in life.after[table].keys() - life.before[table].keys():
            assert life.began <= life.after[table][key]["created_at"] <= life.ended
    for row in life.journal:
        if row.change.kind is ChangeKind.UPDATED and row.change.key in life.after[row.change.feed]:
            assert life.began <= life.after[row.change.feed][row.change.key]["last_updated"] <= life.ended


def test_silent_updates_leave_last_updated_where_it_was(life):
    silent = {it.change.feed for it in changes(life, ChangeKind.SILENTLY_UPDATED)}

    assert silent == set(SILENT)
    for table in silent:
        pairs = changed(life, table)
        assert pairs
        assert all(row["last_updated"] == row["created_at"] for row in life.after[table].values())
        for old, new in pairs:
            different = {name for name in new if old[name] != new[name]} - {"xmin"}
            assert different <= SILENT[table]


def test_every_silent_update_changes_its_row(life):
    """Each changes one cell; a row updated once differs from before in exactly one column."""
    times = Counter((it.change.feed, it.change.key) for it in changes(life, ChangeKind.SILENTLY_UPDATED))
    once = [
        row
        for row, count in times.items()
        if count == 1 and row[1] in life.before[row[0]] and row[1] in life.after[row[0]]
    ]

    assert len(once) > 20
    for table, key in once:
        old, new = life.before[table][key], life.after[table][key]
        assert sum(old[name] != new[name] for name in new if name != "xmin") == 1


def test_a_moved_delivery_date_lies_after_the_calendars_start(life):
    moved = [
        new["agreed_delivery_date"]
        for old, new in changed(life, "sales_order")
        if old["agreed_delivery_date"] != new["agreed_delivery_date"]
    ]

    assert moved
    assert min(moved) > WEDNESDAY.date().isoformat()


def test_transactions_currencies_and_payment_types_never_change(life):
    assert not changed(life, "transaction")
    assert not changed(life, "currency")
    assert not changed(life, "payment_type")


def test_an_ordinary_update_moves_last_updated(life):
    for table in ("address", "department", "staff", "counterparty"):
        pairs = changed(life, table)
        assert pairs
        assert all(new["last_updated"] > old["last_updated"] for old, new in pairs)
        assert all(new["created_at"] == old["created_at"] for old, new in pairs)
    assert life.after["department"][4]["location"] == "Leds"


def test_each_payment_job_shares_one_last_updated(life):
    jobs = [
        rows
        for rows in transactions(life)
        if rows[0].change.feed == "payment" and rows[0].change.kind is ChangeKind.UPDATED
    ]

    assert len(jobs) >= 5
    assert max(map(len, jobs)) > 5
    for rows in jobs:
        found = [life.after["payment"][it.change.key] for it in rows if it.change.key in life.after["payment"]]
        assert len({row["last_updated"] for row in found}) <= 1
        assert all(row["paid"] and row["last_updated"] > row["created_at"] for row in found)


def test_payments_due_on_a_weekday_are_paid_once_and_those_of_weekends_never(life):
    end = working_time(WEDNESDAY.replace(tzinfo=None), 4 * LIVELY.compression).date()
    times = Counter(it.change.key for it in changes(life, ChangeKind.UPDATED, "payment"))

    assert set(times.values()) == {1}
    for row in life.after["payment"].values():
        due = date.fromisoformat(row["payment_date"])
        assert not (row["paid"] and (due.isoweekday() > 5 or due > end))
        assert row["paid"] or due.isoweekday() > 5 or due >= end
        assert row["paid"] or row["last_updated"] == row["created_at"]


def test_a_late_transaction_commits_after_younger_ones(life):
    """Its rows come into the journal at its commit, with a created_at behind that of their neighbours."""
    created = [
        life.after["payment"][it.change.key]["created_at"]
        for it in changes(life, ChangeKind.INSERTED, "payment")
        if it.change.key in life.after["payment"]
    ]

    assert sum(later < earlier for earlier, later in pairwise(created)) >= 10
    overtaken = [sum(younger > created[n] for younger in created[:n]) for n in range(len(created))]
    assert max(overtaken) > 20


def test_ids_are_not_in_order_of_created_at_and_transactions_share_it(life):
    rows = [row for key, row in sorted(life.after["payment"].items()) if key not in life.before["payment"]]

    assert any(later["created_at"] < earlier["created_at"] for earlier, later in pairwise(rows))
    twins = Counter(row["xmin"] for row in rows if not row["paid"])
    assert 2 in twins.values()


def test_deletions_take_the_children_first(life):
    deleted = [rows for rows in transactions(life) if rows[0].change.kind is ChangeKind.DELETED]

    assert deleted
    for payment, transaction, order in deleted:
        assert (payment.change.feed, transaction.change.feed) == ("payment", "transaction")
        assert order.change.feed in ("sales_order", "purchase_order")
        assert order.change.key not in life.after[order.change.feed]


def test_the_journal_is_exactly_what_changed(life):
    for table in FEEDS:
        written = [it for it in life.journal if it.change.feed == table]
        inserted = {it.change.key for it in written if it.change.kind is ChangeKind.INSERTED}
        deleted = {it.change.key for it in written if it.change.kind is ChangeKind.DELETED}
        last = {it.change.key: it.txid for it in written}
        assert life.after[table].keys() == (life.before[table].keys() | inserted) - deleted
        for key, row in life.after[table].items():
            assert row["xmin"] == last.get(key, life.before[table].get(key, row)["xmin"])


def test_counts_are_the_commits_by_kind(life):
    kinds = Counter(it.change.kind for it in life.journal)

    assert sum(life.counts.values()) == len(life.journal)
    assert life.counts[Kind.SILENT_UPDATE] == kinds[ChangeKind.SILENTLY_UPDATED]
    assert life.counts[Kind.DELETION] == kinds[ChangeKind.DELETED]
    assert life.counts[Kind.PAYMENT_JOB] + life.counts[Kind.AMENDMENT] == kinds[ChangeKind.UPDATED]
    assert (
        life.counts[Kind.ORDER] + life.counts[Kind.LATE_ORDER] + life.counts[Kind.DESIGN] == kinds[ChangeKind.INSERTED]
    )


def test_nothing_stays_open_after_the_run(life):
    with open_connection(life.dsn) as connection:
        found = connection.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'totes-simulator'")
    assert found == [[0]]
