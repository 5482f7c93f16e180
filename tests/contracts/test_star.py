"""Feeds and star tables agree with each other and with the predefined schema, typed here a second time on purpose."""

import pytest

from contracts.feeds import FEEDS, NOT_POLLED
from contracts.star import STAR_TABLES, Kind

PREDEFINED = """
dim_date: date_id date, year int, month int, day int, day_of_week int, day_name varchar, month_name varchar, quarter
int

dim_staff: staff_id int, first_name varchar, last_name varchar, department_name varchar, location varchar,
email_address varchar

dim_location: location_id int, address_line_1 varchar, address_line_2 varchar null, district varchar null, city
varchar, postal_code varchar, country varchar, phone varchar

dim_currency: currency_id int, currency_code varchar, currency_name varchar

dim_design: design_id int, design_name varchar, file_location varchar, file_name varchar

dim_counterparty: counterparty_id int, counterparty_legal_name varchar, counterparty_legal_address_line_1 varchar,
counterparty_legal_address_line_2 varchar null, counterparty_legal_district varchar null, counterparty_legal_city
varchar, counterparty_legal_postal_code varchar, counterparty_legal_country varchar, counterparty_legal_phone_number
varchar

dim_payment_type: payment_type_id int, payment_type_name varchar

dim_transaction: transaction_id int, transaction_type varchar, sales_order_id int null, purchase_order_id int null

fact_sales_order: sales_order_id int, created_date date, created_time time, last_updated_date date, last_updated_time
time, sales_staff_id int, counterparty_id int, units_sold int, unit_price numeric(10, 2), currency_id int, design_id
int, agreed_payment_date date, agreed_delivery_date date, agreed_delivery_location_id int

fact_purchase_order: purchase_order_id int, created_date date, created_time time, last_updated_date date,
last_updated_time time, staff_id int, counterparty_id int, item_code varchar, item_quantity int, item_unit_price
numeric, currency_id int, agreed_delivery_date date, agreed_payment_date date, agreed_delivery_location_id int

fact_payment: payment_id int, created_date date, created_time time, last_updated_date date, last_updated_time time,
transaction_id int, counterparty_id int, payment_amount numeric, currency_id int, payment_type_id int, paid boolean,
payment_date date
"""

REFERENCES = {
    "created_date": "dim_date", "last_updated_date": "dim_date", "agreed_payment_date": "dim_date",
    "agreed_delivery_date": "dim_date", "payment_date": "dim_date", "sales_staff_id": "dim_staff",
    "staff_id": "dim_staff", "counterparty_id": "dim_counterparty", "currency_id": "dim_currency",
    "design_id": "dim_design", "agreed_delivery_location_id": "dim_location", "transaction_id": "dim_transaction",
    "payment_type_id": "dim_payment_type",
}  # fmt: skip
RECORD_IDS = {
    "fact_sales_order": "sales_record_id",
    "fact_purchase_order": "purchase_record_id",
    "fact_payment": "payment_record_id",
}


def as_text(table):
    columns = (f"{column.name} {column.sql}{' null' if column.nullable else ''}" for column in table.columns())
    return f"{table.table}: {', '.join(columns)}"


@pytest.mark.parametrize(("table", "expected"), list(zip(STAR_TABLES, PREDEFINED.strip().split("\n\n"), strict=True)))
def test_names_order_and_types_are_the_client_s(table, expected):
    assert as_text(table) == " ".join(expected.split())


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
def test_each_fact_refers_to_the_dimension_its_column_means(table):
    found = {column.name: column.references for column in table.columns() if column.references}

    expected = {column.name: REFERENCES[column.name] for column in table.columns() if column.name in REFERENCES}
    assert found == (expected if table.kind() is Kind.FACT else {})


def test_facts_alone_have_a_record_id_of_their_own():
    assert {table.table: table.record_id for table in STAR_TABLES if table.kind() is Kind.FACT} == RECORD_IDS


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
def test_a_table_s_key_is_its_first_column(table):
    assert table.columns()[0].name == table.key
    assert not table.columns()[0].nullable


def test_every_star_table_but_the_calendar_has_exactly_one_feed():
    fed = [feed.star.table for feed in FEEDS.values() if feed.star]

    assert sorted([*fed, "dim_date"]) == sorted(table.table for table in STAR_TABLES)


@pytest.mark.parametrize("feed", FEEDS.values(), ids=list(FEEDS))
def test_a_feed_s_contract_holds_its_key_its_clock_and_the_columns_it_joins(feed):
    joined = feed.join.columns if feed.join else ()

    assert feed.columns[0] == feed.key
    assert "last_updated" in feed.columns
    assert feed.columns[len(feed.columns) - len(joined) :] == joined
    assert feed.tables == ((feed.name, feed.join.table) if feed.join else (feed.name,))
    assert not feed.columns[-1].startswith("_")


def test_the_feeds_are_the_eleven_tables_of_totesys():
    assert set(FEEDS) == {
        "currency", "payment_type", "department", "staff", "address", "counterparty", "design", "sales_order",
        "purchase_order", "transaction", "payment",
    }  # fmt: skip
    assert not NOT_POLLED & set(FEEDS)


def test_no_bank_account_number_has_a_place_in_the_star_schema():
    assert not [column.name for table in STAR_TABLES for column in table.columns() if "ac_number" in column.name]
