"""Foreign keys always hold: unknown keys get inferred members, which the real rows replace."""

from datetime import date

from contracts.star import DimLocation, DimStaff, FactPayment, FactSalesOrder
from tests.loader.conftest import Star, load_all
from tests.loader.rows import LOCATION, PAYMENT, SALE, STAFF, at, changed, deleted


def test_a_fact_that_comes_first_finds_inferred_members_that_the_real_rows_replace(star: Star) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 10)))
    inferred = star.rows("SELECT *, _inferred_at IS NOT NULL FROM dim_staff")

    load_all(star.warehouse(), changed(DimStaff, [STAFF], at(1, 10)))
    load_all(star.warehouse(), changed(DimLocation, [LOCATION], at(1, 10)))

    assert [row[:7] + row[-1:] for row in inferred] == [[7, *["Unknown"] * 5, 0, True]]
    shown = "staff_id, first_name, last_name, department_name, location, email_address, _generation, _inferred_at"
    assert star.rows(f"SELECT {shown} FROM dim_staff") == [[*STAFF.values(), 1, None]]
    assert star.rows("SELECT district, city, phone FROM dim_location") == [[None, "Leeds", "0730 783349"]]


def test_an_inferred_member_leaves_null_what_may_be_null(star: Star) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 10)), changed(FactSalesOrder, [SALE], at(1, 11)))
    load_all(star.warehouse(), changed(FactPayment, [PAYMENT], at(1, 10)))

    assert star.rows("SELECT address_line_1, address_line_2, district FROM dim_location") == [["Unknown", None, None]]
    assert star.rows("SELECT transaction_type, sales_order_id, purchase_order_id FROM dim_transaction") == [
        ["Unknown", None, None]
    ]


def test_a_fact_never_touches_a_member_that_is_known(star: Star) -> None:
    load_all(star.warehouse(), changed(DimStaff, [STAFF], at(1, 10)))
    before = star.rows("SELECT xmin, ctid, * FROM dim_staff")

    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 20)))

    assert star.rows("SELECT xmin, ctid, * FROM dim_staff") == before


def test_a_deleted_member_stays_because_facts_refer_to_it(star: Star) -> None:
    load_all(star.warehouse(), changed(DimStaff, [STAFF], at(1, 10)), deleted(DimStaff, [7, 8], at(1, 20)))

    found = star.rows(
        "SELECT staff_id, first_name, _generation, _revision, _deleted_generation, _deleted_revision"
        " FROM dim_staff ORDER BY 1"
    )

    assert found == [[7, "Irving", 1, 10, 1, 20], [8, "Unknown", 0, 0, 1, 20]]


def test_an_older_state_that_comes_late_changes_nothing(star: Star) -> None:
    load_all(star.warehouse(), changed(DimStaff, [STAFF], at(2, 1)))

    load_all(star.warehouse(), changed(DimStaff, [{**STAFF, "location": "York"}], at(1, 99)))

    assert star.rows("SELECT location, _generation FROM dim_staff") == [["Leds", 2]]


def test_new_keys_are_inserted_in_their_order_so_that_two_loaders_never_wait_in_a_circle(star: Star) -> None:
    numbers = [13, 2, 40, 7, 29, 1, 33, 20, 5, 11]
    sales = [
        {**SALE, "sales_order_id": n, "sales_staff_id": n, "agreed_delivery_date": date(2027, 1, n % 31 + 1)}
        for n in numbers
    ]
    places = [{**LOCATION, "location_id": n} for n in numbers if n > 4]

    load_all(star.warehouse(), changed(DimLocation, places, at(1, 10)))
    load_all(
        star.warehouse(),
        changed(FactSalesOrder, [{**sale, "agreed_delivery_location_id": 7} for sale in sales], at(1, 10)),
    )

    for table, key in (
        ("dim_location", "location_id"),
        ("dim_staff", "staff_id"),
        ("dim_date", "date_id"),
        ("fact_sales_order", "sales_order_id"),
    ):
        inserted = star.rows(f"SELECT {key} FROM {table} ORDER BY ctid")
        assert inserted == sorted(inserted), table
