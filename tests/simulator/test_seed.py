"""The seed looks like the real totesys, is written whole or not at all, and needs little memory at any size."""

import re
import tracemalloc
from collections import Counter
from datetime import date, datetime, time, timedelta
from itertools import islice, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from services.local.simulator import Simulator, SimulatorOptions
from services.local.simulator.apply import copy_line, open_connection, write_seed
from services.local.simulator.seed import History, seed_batches
from services.local.simulator.simulator import repeatable
from shared.postgres import Dsn, copy_in
from tests.simulator.conftest import WEDNESDAY, Clock, read_table, read_tables

TODAY = WEDNESDAY.date()
ORDERS = 3_000


def seed(dsn: str, orders: int = ORDERS, number: int = 1) -> int:
    clock = Clock(0)
    return Simulator(
        dsn, SimulatorOptions(seed=number, orders=orders), now=clock.now, sleep=clock.sleep
    ).seed_if_empty()


@pytest.fixture(scope="module")
def seeded():
    """All rows of one seed, as planned: what is written is compared with them below."""
    rows = {table: [] for table in FEEDS}
    for batch in seed_batches(repeatable(1), History.before(TODAY, ORDERS)):
        rows[batch.table] += batch.rows
    return rows


def test_equal_seeds_give_equal_rows_and_others_do_not():
    history = History.before(TODAY, 200)

    assert list(seed_batches(repeatable(4), history)) == list(seed_batches(repeatable(4), history))
    assert list(seed_batches(repeatable(4), history)) != list(seed_batches(repeatable(5), history))


def test_the_database_holds_exactly_what_was_planned(totesys, seeded):
    written = seed(totesys.dsn)

    with totesys.connect() as connection:
        tables = read_tables(connection)
    assert written == sum(len(rows) for rows in seeded.values())
    for table, rows in seeded.items():
        found = [{name: value for name, value in row.items() if name != "xmin"} for row in tables[table].values()]
        dates = [name for name in rows[0]._fields if name.startswith("agreed_") and "date" in name] + ["payment_date"]
        expected = [
            {name: str(value) if name in dates else value for name, value in row._asdict().items()} for row in rows
        ]
        assert found == expected


def test_a_seed_has_the_observed_number_of_everything(seeded):
    counts = {table: len(rows) for table, rows in seeded.items()}

    assert counts["sales_order"] + counts["purchase_order"] == counts["transaction"] == counts["payment"] == ORDERS
    assert counts["sales_order"] / ORDERS == pytest.approx(22 / 31, abs=0.03)
    assert (counts["department"], counts["staff"], counts["counterparty"], counts["address"]) == (8, 20, 20, 30)
    assert [row.currency_code for row in seeded["currency"]] == ["GBP", "USD", "EUR"]
    assert counts["payment_type"] == 4
    assert counts["design"] == pytest.approx(ORDERS / 31, rel=0.2)
    assert len({row.design_name for row in seeded["design"]}) == 12
    assert len({row.file_name for row in seeded["design"]}) == counts["design"]


def test_names_are_as_awkward_as_the_real_ones(seeded):
    mail = [row.email_address for row in seeded["staff"]]
    companies = " ".join(row.counterparty_legal_name for row in seeded["counterparty"])
    countries = " ".join(row.country for row in seeded["address"])

    assert "maeve.o'keefe@terrifictotes.com" in mail
    assert len(set(mail)) == 20
    assert seeded["department"][3].location == "Leds"
    assert all(mark in companies for mark in (", ", " & ", "(", "'"))
    assert all(mark in countries for mark in ("&", "(", "'"))


def test_addresses_have_the_observed_nulls_and_leading_zeros(seeded):
    addresses = seeded["address"]

    assert sum(row.address_line_2 is None for row in addresses) == 20
    assert sum(row.district is None for row in addresses) == 14
    assert any(re.fullmatch("0[0-9]{4}", row.postal_code) for row in addresses)
    assert any(re.fullmatch("[0-9]{5}-[0-9]{4}", row.postal_code) for row in addresses)
    assert any(re.fullmatch("0[0-9]{3} [0-9]{6}", row.phone) for row in addresses)


def test_every_order_has_one_transaction_and_one_payment_that_agree_with_it(seeded):
    orders = {("SALE", row.sales_order_id): row for row in seeded["sales_order"]}
    orders |= {("PURCHASE", row.purchase_order_id): row for row in seeded["purchase_order"]}
    payments = {row.transaction_id: row for row in seeded["payment"]}

    for transaction in seeded["transaction"]:
        order = orders.pop((transaction.transaction_type, transaction.sales_order_id or transaction.purchase_order_id))
        payment = payments.pop(transaction.transaction_id)
        amount = (
            order.units_sold * order.unit_price
            if transaction.sales_order_id
            else order.item_quantity * order.item_unit_price
        )
        assert (transaction.sales_order_id is None) != (transaction.purchase_order_id is None)
        assert order.created_at == transaction.created_at == payment.created_at
        assert order.last_updated == transaction.last_updated == order.created_at
        assert (payment.payment_amount, payment.payment_date) == (amount, order.agreed_payment_date)
        assert (payment.counterparty_id, payment.currency_id) == (order.counterparty_id, order.currency_id)
    assert not orders
    assert not payments


def test_units_and_prices_lie_where_the_real_ones_do(seeded):
    sales, purchases = seeded["sales_order"], seeded["purchase_order"]

    assert all(1_000 <= row.units_sold <= 100_000 and 2 <= row.unit_price <= 4 for row in sales)
    assert all(1 <= row.item_quantity <= 999 and 3.32 <= row.item_unit_price <= 999.07 for row in purchases)
    assert all(re.fullmatch("[A-Z0-9]{7}", row.item_code) for row in purchases)
    assert all(str(row.unit_price)[-3] == "." for row in sales)


def test_orders_fall_on_every_weekday_between_eight_and_seven_and_never_today(seeded):
    moments = [row.created_at for row in seeded["transaction"]]

    assert all(moment.isoweekday() <= 5 and time(8) <= moment.time() < time(19) for moment in moments)
    assert len({moment.date() for moment in moments}) == ORDERS // 31
    assert max(moments).date() == TODAY - timedelta(days=1)
    assert all(moment.microsecond % 1000 == 0 for moment in moments)


def test_ids_are_not_quite_in_order_of_created_at_and_some_share_it(seeded):
    moments = [row.created_at for row in seeded["transaction"]]

    assert 1 <= sum(later < earlier for earlier, later in pairwise(moments)) <= 15
    assert 10 <= sum(later == earlier for earlier, later in pairwise(moments)) <= 60


def test_no_order_uses_a_design_that_was_made_after_it(seeded):
    made = {row.design_id: row.created_at for row in seeded["design"]}

    assert all(made[row.design_id] <= row.created_at for row in seeded["sales_order"])


def test_due_payments_were_paid_by_one_job_a_weekday_and_those_of_weekends_never(seeded):
    jobs = {}
    for row in seeded["payment"]:
        assert row.paid == (row.payment_date < TODAY and row.payment_date.isoweekday() <= 5)
        if row.paid:
            jobs.setdefault(row.payment_date, set()).add(row.last_updated)
        else:
            assert row.last_updated == row.created_at

    assert all(len(moments) == 1 for moments in jobs.values())
    assert all(
        min(moments).replace(microsecond=0) == datetime.combine(day, time(7, 55, 11)) for day, moments in jobs.items()
    )


def test_some_delivery_dates_were_moved_to_long_after_the_order(seeded):
    days = [
        (row.agreed_delivery_date - row.created_at.date()).days
        for row in seeded["sales_order"] + seeded["purchase_order"]
    ]

    assert max(days) > 30
    assert sum(day > 7 for day in days) / ORDERS < 0.02


def test_a_larger_seed_has_more_orders_a_day_rather_than_a_longer_past():
    assert History.before(TODAY, 1_000_000).days == History.before(TODAY, 100_000).days == 985


def test_a_second_seed_finds_rows_and_writes_none(totesys):
    first = seed(totesys.dsn, orders=50)
    with totesys.connect() as connection:
        before = read_tables(connection)

        second = seed(totesys.dsn, orders=50, number=2)

        assert (first > 0, second) == (True, 0)
        assert read_tables(connection) == before


def test_a_totesys_with_a_single_row_is_not_seeded(totesys):
    with totesys.connect() as connection:
        connection.run("INSERT INTO currency (currency_code) VALUES ('SEK')")

        assert seed(totesys.dsn) == 0
        assert len(read_table(connection, "currency")) == 1


def test_a_seed_that_dies_half_way_leaves_nothing_and_is_written_whole_by_the_next(totesys):
    batches = islice(seed_batches(repeatable(1), History.before(TODAY, 50)), 8)

    def dying():
        yield from batches
        raise KeyboardInterrupt

    connection = open_connection(Dsn.parse(totesys.dsn))
    with pytest.raises(KeyboardInterrupt):
        write_seed(connection, dying())
    connection.close()

    assert seed(totesys.dsn, orders=50) > 0


def test_the_serials_go_on_after_the_seed_and_the_foreign_keys_are_back(totesys):
    keys = """
    SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid), convalidated FROM pg_constraint ORDER BY 1, 2
    """
    with totesys.connect() as connection:
        before = connection.run(keys)

        seed(totesys.dsn, orders=100)

        assert connection.run(keys) == before
        (new,) = connection.run(
            "INSERT INTO transaction (transaction_type, sales_order_id) VALUES ('SALE', 1) RETURNING transaction_id"
        )
        assert new == [101]


def test_a_seed_without_orders_holds_the_tables_they_refer_to(totesys):
    seed(totesys.dsn, orders=0)

    with totesys.connect() as connection:
        counts = {table: len(rows) for table, rows in read_tables(connection).items()}
    assert {table for table, count in counts.items() if not count} == {
        "sales_order", "purchase_order", "transaction", "payment",
    }  # fmt: skip


@pytest.mark.no_cover
def test_memory_does_not_grow_with_the_seed(totesys):
    """Peak of Python's own memory; 10,000 orders are 30,000 rows, of about 30 MiB if all were held."""
    tracemalloc.start()
    try:
        rows = seed(totesys.dsn, orders=10_000)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert rows > 30_000
    assert peak < 12 * 2**20


TEXTS = st.lists(st.none() | st.text(st.characters(exclude_characters="\0", codec="utf-8")), min_size=2, max_size=2)


@pytest.mark.no_cover
def test_any_text_survives_the_copy(totesys):
    with totesys.connect() as connection:
        connection.run("CREATE TABLE texts (a text, b text)")

        @settings(max_examples=50, deadline=None)
        @given(TEXTS)
        def survives(row):
            connection.run("TRUNCATE texts")
            copy_in(connection, "COPY texts FROM STDIN", [copy_line(row).encode()])
            assert connection.run("SELECT a, b FROM texts") == [row]

        survives()
        survives_literally = ["\\N", "tab\tnewline\nreturn\rbackslash\\"]
        copy_in(connection, "COPY texts FROM STDIN", [copy_line(survives_literally).encode()])
        assert survives_literally in connection.run("SELECT a, b FROM texts")


def test_a_seed_on_a_weekend_ends_on_the_friday_before():
    batches = list(seed_batches(repeatable(1), History.before(date(2026, 1, 12), 100)))
    moments = Counter(row.created_at.date() for batch in batches if batch.table == "payment" for row in batch.rows)

    assert max(moments) == date(2026, 1, 9)
