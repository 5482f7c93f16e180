"""A load batch is in exactly one transaction, whatever fails, and a second delivery changes nothing."""

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from threading import Thread
from typing import Any

import numpy as np
import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from contracts.messages import LoadBatch, Origin
from contracts.star import DimLocation, DimStaff, FactPayment, FactSalesOrder, StarRow
from shared.errors import (
    ConfigurationError,
    ContractViolation,
    MalformedMessage,
    PositionConflict,
    WarehouseUnavailable,
)
from tests.loader.conftest import Fault, Star, load_all
from tests.loader.rows import AS_OF, LOCATION, PAYMENT, SALE, STAFF, Made, again, at, changed, deleted

EVERYTHING = (
    "dim_date",
    "dim_staff",
    "dim_location",
    "dim_currency",
    "dim_design",
    "dim_counterparty",
    "dim_payment_type",
    "dim_transaction",
    "_seen_sales_order",
    "_seen_payment",
    "history_sales_order",
    "history_payment",
)


def contents(star: Star) -> dict[str, list[Any]]:
    """Every table's rows as text, without what a clock or a serial gave."""
    found = {}
    with star.connect() as connection:
        for table in EVERYTHING:
            kept = "to_jsonb(t) - '_inferred_at' - 'sales_record_id' - 'payment_record_id'"
            found[table] = sorted(connection.run(f"SELECT DISTINCT CAST({kept} AS text) FROM {table} t"))
    return found


def sales() -> list[Made]:
    """Three snapshots of two sales orders: a change, a deletion, another change."""
    first = [{**SALE, "sales_order_id": 1}, {**SALE, "sales_order_id": 2, "sales_staff_id": 9}]
    return [
        changed(FactSalesOrder, first, at(1, 10), as_of=AS_OF),
        changed(FactSalesOrder, [{**first[0], "units_sold": 2000}], at(1, 20), as_of=AS_OF + timedelta(seconds=20)),
        deleted(FactSalesOrder, [2], at(1, 30), as_of=AS_OF + timedelta(seconds=30)),
    ]


def test_what_is_loaded_is_what_was_read_to_the_cent_and_the_microsecond(star: Star) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 10)))
    load_all(star.warehouse(), changed(FactPayment, [{**PAYMENT, "paid": True}], at(1, 10)))

    assert star.rows("SELECT * FROM current_sales_order") == [[1, *SALE.values()]]
    assert star.rows("SELECT * FROM current_payment") == [[1, *{**PAYMENT, "paid": True}.values()]]


def test_a_batch_that_is_delivered_twice_is_loaded_once(star: Star) -> None:
    warehouse, batch = star.warehouse(), sales()[0]
    first = load_all(warehouse, batch)
    before = contents(star), star.rows("SELECT * FROM _load_batch"), star.rows("SELECT * FROM _feed")

    second = load_all(warehouse, batch, batch)

    assert (first.loaded, first.rows, first.versions) == ((batch.batch.id,), 2, 2)
    assert (second.loaded, second.already_there) == ((), (batch.batch.id,))
    assert (contents(star), star.rows("SELECT * FROM _load_batch"), star.rows("SELECT * FROM _feed")) == before


def test_rows_that_a_second_reader_sends_again_burn_no_record_ids(star: Star) -> None:
    warehouse, batch = star.warehouse(), sales()[0]
    load_all(warehouse, batch)

    for _ in range(3):
        load_all(warehouse, again(batch))
    load_all(warehouse, changed(FactSalesOrder, [{**SALE, "sales_order_id": 3}], at(1, 40)))

    assert star.rows("SELECT sales_record_id FROM fact_sales_order ORDER BY 1") == [[1], [2], [3]]


@pytest.mark.parametrize("table", [FactSalesOrder, DimStaff])
@pytest.mark.parametrize("later_first", [True, False])
@pytest.mark.parametrize("together", [True, False])
def test_two_readers_of_one_snapshot_say_the_earlier_clock_whichever_comes_first(
    star: Star, table: type[StarRow], later_first: bool, together: bool
) -> None:
    earlier = changed(table, [SALE if table is FactSalesOrder else STAFF], at(1, 10), as_of=AS_OF)
    late = earlier.batch.data.model_copy(update={"as_of": AS_OF + timedelta(milliseconds=46)})
    later = replace(earlier, batch=earlier.batch.model_copy(update={"data": late}))
    both = [later, earlier] if later_first else [earlier, later]

    for some in [both] if together else [[one] for one in both]:
        load_all(star.warehouse(), *some)

    seen = "SELECT seen_at FROM _seen_sales_order" if table is FactSalesOrder else "SELECT _seen_at FROM dim_staff"
    assert star.rows(f"{seen} WHERE {'true' if table is FactSalesOrder else '_generation > 0'}") == [[AS_OF]]


@pytest.mark.parametrize(("origin", "loaded"), [(Origin.REPLAY, [[1], [2]]), (Origin.POLL, [[1]])])
def test_rows_that_pass_by_now_are_loaded_from_a_replay_whose_batch_is_known(
    star: Star, origin: Origin, loaded: list[list[int]]
) -> None:
    both = [{**SALE, "sales_order_id": number} for number in (1, 2)]
    first = changed(FactSalesOrder, both[:1], at(1, 10), origin=origin, quarantined=1)
    same_batch = first.batch.data.change_batch
    mended = changed(FactSalesOrder, both, at(1, 10), origin=origin)
    mended = replace(mended, batch=LoadBatch.of(mended.batch.data.model_copy(update={"change_batch": same_batch})))

    load_all(star.warehouse(), first)
    load_all(star.warehouse(), mended)
    load_all(star.warehouse(), mended)

    assert star.rows("SELECT sales_order_id FROM current_sales_order ORDER BY 1") == loaded


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0), (2, 0, 1)])
def test_batches_out_of_order_end_in_the_same_tables(star: Star, order: tuple[int, ...]) -> None:
    batches = sales()
    for number in order:
        load_all(star.warehouse(), batches[number])

    versions = star.rows(
        "SELECT sales_order_id, units_sold, ended_by FROM history_sales_order ORDER BY sales_order_id, valid_from"
    )

    assert versions == [[1, 1000, "changed"], [1, 2000, None], [2, 1000, "deleted"]]
    assert star.rows("SELECT sales_order_id, units_sold FROM current_sales_order") == [[1, 2000]]


def calls_of(star: Star) -> int:
    """How many SQL calls the load of a shifted key makes that nothing disturbs, the members that all share known."""
    counting = Fault()
    load_all(star.warehouse(), *shifted(-1))
    load_all(star.warehouse(counting), *shifted(0))
    return counting.calls


@pytest.mark.no_cover
@pytest.mark.parametrize("after", [False, True], ids=["before the server heard of it", "after the server did it"])
def test_a_crash_at_any_sql_call_leaves_all_or_nothing_and_redelivery_loads(star: Star, after: bool) -> None:
    """The last call is COMMIT: after it everything is there, and redelivery finds that out."""
    total = calls_of(star)
    assert total > 15

    for number in range(1, total + 1):
        batches = shifted(number)
        key = batches[0].columns["sales_order_id"].tolist()[0]
        ids = [batch.batch.id for batch in batches]

        with pytest.raises(KeyboardInterrupt):
            load_all(star.warehouse(Fault(number, KeyboardInterrupt("killed"), after)), *batches)
        committed = after and number == total
        found = star.rows(
            "SELECT (SELECT count(*) FROM _load_batch WHERE id = ANY(CAST(:ids AS text[]))),"
            " (SELECT count(DISTINCT revision) FROM _seen_sales_order WHERE key = :key),"
            " (SELECT count(*) FROM fact_sales_order WHERE sales_order_id = :key),"
            " (SELECT count(*) FROM dim_staff WHERE staff_id = :key)",
            ids=ids,
            key=key,
        )
        report = load_all(star.warehouse(), *batches)
        versions = star.rows(
            "SELECT units_sold, ended_by FROM history_sales_order WHERE sales_order_id = :key ORDER BY valid_from",
            key=key,
        )

        assert found == ([[3, 3, 2, 1]] if committed else [[0, 0, 0, 0]]), number
        assert len(report.loaded) == (0 if committed else 3)
        assert versions == [[1, "changed"], [2, "deleted"]]


def shifted(number: int) -> list[Made]:
    """The whole algorithm on a key of its own: a late first observation, a change, a deletion."""
    key = 100 + number
    row = {**SALE, "sales_order_id": key, "sales_staff_id": key}
    return [
        changed(FactSalesOrder, [{**row, "units_sold": 2}], at(1, 20)),
        deleted(FactSalesOrder, [key], at(1, 30), as_of=AS_OF + timedelta(seconds=30)),
        changed(FactSalesOrder, [{**row, "units_sold": 1}], at(1, 10), as_of=AS_OF - timedelta(seconds=30)),
    ]


def test_a_connection_lost_at_commit_is_tried_again_and_finds_its_batch_there(star: Star) -> None:
    total = calls_of(star)
    made = shifted(1)

    fault = Fault(at=total, error=InterfaceError("network error"), after=True)
    report = load_all(star.warehouse(fault), *made)

    assert (report.loaded, len(report.already_there)) == ((), 3)
    assert star.rows(
        "SELECT count(*) FROM _load_batch WHERE id = ANY(CAST(:ids AS text[]))", ids=[m.batch.id for m in made]
    ) == [[3]]


@pytest.mark.parametrize("state", ["40001", "40P01"])
def test_a_collision_of_two_loaders_is_tried_again(star: Star, state: str) -> None:
    fault = Fault(at=8, error=DatabaseError({"C": state, "M": "collision"}))

    report = load_all(star.warehouse(fault), *sales())

    assert (len(report.loaded), star.pauses) == (3, [0.05])


def test_a_full_disk_is_an_unavailable_warehouse_and_leaves_nothing(star: Star) -> None:
    fault = Fault(at=8, error=DatabaseError({"C": "53100", "M": "No space left on device"}))
    warehouse = star.warehouse(fault)

    with pytest.raises(WarehouseUnavailable, match="No space left on device"):
        load_all(warehouse, *sales())

    assert (star.rows("SELECT count(*) FROM _seen_sales_order"), star.pauses) == ([[0]], [])
    assert len(load_all(warehouse, *sales()).loaded) == 3


def test_a_session_that_the_server_ended_is_opened_again(star: Star) -> None:
    warehouse = star.warehouse()
    load_all(warehouse, changed(DimStaff, [STAFF], at(1, 10)))
    star.rows("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'totes_loader'")

    report = load_all(warehouse, changed(DimStaff, [{**STAFF, "location": "York"}], at(1, 20)))

    assert len(report.loaded) == 1
    assert star.rows("SELECT location FROM dim_staff") == [["York"]]


def test_two_different_rows_at_one_position_are_refused_and_the_first_stays(star: Star) -> None:
    warehouse = star.warehouse()
    load_all(warehouse, changed(FactSalesOrder, [SALE], at(1, 10)), changed(FactSalesOrder, [SALE], at(1, 11)))

    with pytest.raises(PositionConflict, match="sales_order_id 1 at generation 1, revision 10, contract 1"):
        load_all(warehouse, changed(FactSalesOrder, [{**SALE, "units_sold": 5}], at(1, 10)))

    assert star.rows("SELECT units_sold FROM fact_sales_order") == [[1000]]


def test_two_different_states_of_a_member_at_one_position_are_refused(star: Star) -> None:
    with pytest.raises(PositionConflict, match="dim_staff for staff_id 7"):
        load_all(
            star.warehouse(),
            changed(DimStaff, [STAFF], at(1, 10)),
            changed(DimStaff, [{**STAFF, "location": "York"}], at(1, 10)),
        )

    assert star.rows("SELECT count(*) FROM dim_staff") == [[0]]


def test_rows_the_star_schema_can_never_hold_are_a_contract_violation(star: Star) -> None:
    nameless = changed(DimStaff, [STAFF], at(1, 10))
    nameless = replace(nameless, columns={**nameless.columns, "first_name": np.array([None], "object")})

    with pytest.raises(ContractViolation, match="SQLSTATE 23502"):
        load_all(star.warehouse(), nameless)
    with pytest.raises(ContractViolation, match="SQLSTATE 22003"):
        load_all(
            star.warehouse(), changed(FactSalesOrder, [{**SALE, "unit_price": Decimal("123456789.00")}], at(1, 10))
        )


def test_a_time_zone_that_postgres_does_not_know_never_reaches_the_views(star: Star) -> None:
    with pytest.raises(MalformedMessage, match="'Mars/Olympus'"):
        load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 10), time_zone="Mars/Olympus"))

    assert star.rows("SELECT count(*) FROM _feed") == [[0]]


def test_a_batch_without_rows_is_kept_in_the_books(star: Star) -> None:
    empty = changed(FactSalesOrder, [], at(1, 10), quarantined=4)

    load_all(star.warehouse(), empty)

    assert star.rows("SELECT id, rows, quarantined FROM _load_batch") == [[empty.batch.id, 0, 4]]
    assert star.rows("SELECT feed, rows_loaded, quarantined, revision FROM freshness") == [["sales_order", 0, 4, 10]]


def test_a_warehouse_that_was_not_migrated_is_named(star: Star) -> None:
    star.schema = "elsewhere"

    with pytest.raises(ConfigurationError, match="'elsewhere' of the warehouse and found none: run `totes migrate`"):
        load_all(star.warehouse(), sales()[0])


def test_several_loaders_at_once_do_not_deadlock_and_end_equal(star: Star, new_database: Any) -> None:
    """Facts that infer members meet the members' own batches, in both directions."""
    alone = star
    batches = crossing()
    for batch in batches:
        load_all(alone.warehouse(), batch)
    expected = contents(alone)

    dimensions = [table for table in EVERYTHING if table.startswith("dim_")]
    for table in (*dimensions, "_unversioned_sales_order", "_unversioned_payment", "_load_batch", "_feed"):
        alone.rows(f"TRUNCATE {table} CASCADE")
    alone.pauses.clear()
    failures: list[BaseException] = []
    threads = [
        Thread(target=load_each, args=(alone, order, failures))
        for order in (
            batches,
            batches[::-1],
            batches[1::2] + batches[::2],
            batches[::3] + batches[1::3] + batches[2::3],
        )
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert contents(alone) == expected
    assert alone.pauses == []  # not one collision had to be tried again


def load_each(star: Star, batches: list[Made], failures: list[BaseException]) -> None:
    try:
        warehouse = star.warehouse()
        for batch in batches:
            load_all(warehouse, batch)
    except BaseException as exc:  # noqa: BLE001 - the test's own thread reports it
        failures.append(exc)


def crossing() -> list[Made]:
    numbers = range(1, 60)
    made: list[Made] = []
    for revision in (10, 20, 30):
        as_of = AS_OF + timedelta(seconds=revision)
        made += [
            changed(FactSalesOrder, [sale(n, revision) for n in numbers], at(1, revision), as_of=as_of),
            changed(FactPayment, [pay(n, revision) for n in reversed(numbers)], at(1, revision), as_of=as_of),
            changed(
                DimStaff,
                [member(STAFF, DimStaff, n, revision) for n in reversed(numbers)],
                at(1, revision),
                as_of=as_of,
            ),
            changed(
                DimLocation, [member(LOCATION, DimLocation, n, revision) for n in numbers], at(1, revision), as_of=as_of
            ),
            deleted(DimStaff, [n for n in numbers if n % 7 == 0], at(1, revision + 5), as_of=as_of),
        ]
    return made


def sale(number: int, revision: int) -> dict[str, Any]:
    keys = (
        "sales_order_id",
        "sales_staff_id",
        "counterparty_id",
        "currency_id",
        "design_id",
        "agreed_delivery_location_id",
    )
    day = date(2026, 1, 1) + timedelta(days=number)
    return {**SALE, **dict.fromkeys(keys, number), "units_sold": number % 3 * revision, "agreed_delivery_date": day}


def pay(number: int, revision: int) -> dict[str, Any]:
    keys = ("payment_id", "transaction_id", "counterparty_id", "currency_id", "payment_type_id")
    return {**PAYMENT, **dict.fromkeys(keys, number), "paid": revision > 10}


def member(row: dict[str, Any], table: type[StarRow], number: int, revision: int) -> dict[str, Any]:
    return {**row, table.key: number, next(c.name for c in table.columns() if c.name != table.key): f"at {revision}"}
