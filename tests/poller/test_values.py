"""What the archive holds decodes to exactly the source's values, and its objects are what their envelopes say."""

import hashlib
import json
from datetime import datetime
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from contracts.feeds import FEEDS
from tests.poller.archived import objects
from tests.poller.conftest import Bench

VALUES = [
    "O'Keefe",
    "Leds",
    "0730 783349",
    "",
    "\\N",
    "\\.",
    "NULL",
    "Leannon, Predovic and Morar",
    'a "quoted" one',
    "tab\there",
    "new\nline\r\nand\rreturn",
    "back\\slash\\n\\t",
    "👜 Größe 袋",
    " padded ",
    "\x01\x08\x0b\x0c\x7f",
]


def _in_source(value) -> str | None:
    """What Postgres prints for a value the driver parsed: written here once more, by hand."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.strftime("%Y-%m-%d %H:%M:%S")
        return text if value.microsecond == 0 else f"{text}.{value.microsecond:06d}".rstrip("0")
    assert isinstance(value, int | Decimal)
    return str(value)


def seed(bench: Bench) -> None:
    bench.run(
        "INSERT INTO currency (currency_code) VALUES ('GBP');"
        "INSERT INTO payment_type (payment_type_name) VALUES ('SALES_RECEIPT');"
        "INSERT INTO department (department_name, location) VALUES ('Sales', 'Leds');"
        "INSERT INTO staff (first_name, last_name, department_id, email_address)"
        " VALUES ('Irving', 'O''Keefe', 1, 'irving.o''keefe@terrifictotes.com');"
        "INSERT INTO address (address_line_1, city, postal_code, country, phone)"
        " VALUES ('1', 'C', '01234', 'Svalbard & Jan Mayen Islands', '0730 783349');"
        "INSERT INTO counterparty (counterparty_legal_name, legal_address_id)"
        " VALUES ('Leannon, Predovic and Morar', 1);"
        "INSERT INTO design (design_name, file_location, file_name) VALUES ('Wooden', '/usr', 'w.json');"
        "INSERT INTO sales_order (design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,"
        " agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id, created_at)"
        " VALUES (1, 1, 1, 84754, 2.40, 1, '2029-11-10', '2022-11-08', 1, '2022-11-03 14:20:52');"
        "INSERT INTO purchase_order (staff_id, counterparty_id, item_code, item_quantity, item_unit_price, currency_id,"
        " agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)"
        " VALUES (1, 1, 'ZDOI5EA', 371, 361.39, 1, '2022-11-09', '2022-11-07', 1);"
        "INSERT INTO transaction (transaction_type, sales_order_id) VALUES ('SALE', 1);"
        "INSERT INTO payment (transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid,"
        " payment_date, company_ac_number, counterparty_ac_number)"
        " VALUES (1, 1, 203409.60, 1, 1, false, '2022-11-08', 67305075, 31622269)"
    )


@pytest.mark.parametrize("value", [*VALUES, None])
def test_a_text_arrives_to_the_letter(bench: Bench, value: str | None):
    bench.run(
        "INSERT INTO department (department_name, location, manager) VALUES (:one, :two, :two)",
        one=value or "",
        two=value,
    )
    poller = bench.poller("department")
    assert poller.claim()

    [batch] = bench.polled(poller)

    assert (batch.rows[0]["department_name"], batch.rows[0]["location"]) == (value or "", value)


def test_every_column_of_every_feed_is_the_source_s_own(bench: Bench):
    seed(bench)
    poller = bench.poller()
    assert poller.claim()

    found = {batch.data["feed"]: batch for batch in bench.polled(poller)}

    assert set(found) == set(FEEDS)
    for name, batch in found.items():
        with bench.totesys.connect() as connection:
            source = dict(
                zip(
                    [column["name"] for column in _described(connection, name)],
                    connection.run(f'SELECT * FROM "{name}"')[0],
                    strict=True,
                )
            )
        own = [column for column in batch.data["columns"][:-1] if column in source and column != "last_updated"]
        assert {column: batch.rows[0][column] for column in own} == {
            column: _in_source(source[column]) for column in own
        }
    assert found["staff"].rows[0]["location"] == "Leds"
    assert found["counterparty"].rows[0]["phone"] == "0730 783349"
    assert found["sales_order"].rows[0]["created_at"] == "2022-11-03 14:20:52"
    assert found["sales_order"].rows[0]["unit_price"] == "2.40"


def _described(connection, name: str):
    connection.run(f'SELECT * FROM "{name}" LIMIT 0')
    return connection.columns


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.lists(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])), min_size=1, max_size=8)
)
def test_any_text_arrives_to_the_letter(bench: Bench, values: list[str]):
    with bench.totesys.connect() as connection:
        connection.run("DELETE FROM department")
        for value in values:
            connection.run("INSERT INTO department (department_name) VALUES (:value)", value=value)
    poller = bench.poller("department")
    bench.aws.s3.delete_object(Bucket=bench.aws.control, Key="checkpoint.json")
    assert poller.claim()

    found = [
        row["department_name"]
        for batch in bench.polled(poller)
        if batch.data["position"]["generation"] == poller.checkpoint.generation
        for row in batch.rows
    ]
    poller._source.close()

    assert found == values


def test_an_object_is_gzip_without_a_time_and_carries_its_envelope(bench: Bench):
    seed(bench)
    poller = bench.poller("payment", "payment_type")
    assert poller.claim()

    sent = {batch.data["feed"]: batch for batch in bench.polled(poller)}

    for key in objects(bench.aws):
        stored = bench.aws.s3.get_object(Bucket="archive", Key=key)
        body, event = stored["Body"].read(), json.loads(stored["Metadata"]["envelope"])
        assert body[4:8] == b"\0\0\0\0"
        assert stored["Metadata"]["sha256"] == hashlib.sha256(body).hexdigest() == event["data"]["object"]["sha256"]
        assert event == sent[event["subject"]].event
        assert key.startswith(f"{event['subject']}/date=")


def test_a_source_in_another_encoding_and_style_gives_the_same_text(bench: Bench):
    bench.run(
        "ALTER ROLE totes_reader SET DateStyle = 'German'; ALTER ROLE totes_reader SET client_encoding = 'LATIN1'"
    )
    try:
        bench.run("INSERT INTO department (department_name, created_at) VALUES ('Größe', '2022-11-03 14:20:52.5')")
        poller = bench.poller("department")
        assert poller.claim()

        [batch] = bench.polled(poller)
    finally:
        bench.run("ALTER ROLE totes_reader RESET ALL")

    assert batch.rows[0]["department_name"] == "Größe"
    assert batch.rows[0]["created_at"] == "2022-11-03 14:20:52.5"


def test_equal_rows_hash_equal_and_different_rows_differ(bench: Bench):
    bench.run(
        "INSERT INTO department (department_name, location, created_at, last_updated) VALUES"
        " ('a', NULL, '2022-01-01', '2022-01-01'), ('a', '', '2022-01-01', '2022-01-01')"
    )
    poller = bench.poller("department")
    assert poller.claim()
    [batch] = bench.polled(poller)
    bench.run("ALTER TABLE department ALTER created_at TYPE timestamp(6), ALTER department_name TYPE text")

    again = bench.poller("department", owner="b")
    bench.aws.s3.delete_object(Bucket=bench.aws.control, Key="checkpoint.json")
    assert again.claim()
    [_, second] = bench.polled(again)

    assert len({row["_row_hash"] for row in batch.rows}) == 2
    assert [row["_row_hash"] for row in second.rows] == [row["_row_hash"] for row in batch.rows]
