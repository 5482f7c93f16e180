"""What the runs come to: medians, ratios run by run, targets, and no time for a target that is wrong."""

import pytest

from services.ops.bench.figures import Figure
from shared.errors import PipelineError
from tests.conftest import NewDatabase, open_connection
from tests.peers.compare import LIMIT, OURS, SLING, TARGETS, Round, Sample, expect_equal, figures_of
from tests.peers.contestants import DLT
from tests.peers.servers import CHECKSUM, Held


def rounds(backfills: list[float], updates: list[float]) -> list[Round]:
    pairs = zip(backfills, updates, strict=True)
    return [
        Round(Sample(backfill + 1, backfill, 80.0, {"x": 2.0}), Sample(update, update)) for backfill, update in pairs
    ]


def figures(ours: list[float], theirs: list[float]) -> dict[str, Figure]:
    measured = {
        LIMIT: [Round(Sample(2.0), Sample(0.5))] * len(ours),
        OURS: rounds(ours, ours),
        SLING: rounds(theirs, theirs),
    }
    return {figure.name: figure for figure in figures_of(measured, 1_000_000)}


def test_times_are_of_the_whole_process_beside_the_limit_and_ratios_without_the_start() -> None:
    found = figures([4.0, 5.0, 6.0], [10.0, 10.0, 10.0])

    ours = found["backfill of 1,000,000 orders: totes"]
    assert (ours.value, ours.low, ours.high, ours.limit) == (6.0, 5.0, 7.0, 2.0)
    assert found["update of 100,000 orders: Sling"].value == 10.0
    ratio = found["backfill: totes / Sling"]
    assert (ratio.value, ratio.met) == (0.5, True)
    assert "80 MiB" in ours.note


def test_a_ratio_is_of_one_run_and_not_of_medians() -> None:
    found = figures([1.0, 10.0, 2.0], [1.0, 20.0, 10.0])

    assert found["backfill: totes / Sling"].value == 0.5


def test_a_missed_target_is_said() -> None:
    assert figures([6.0], [10.0])["update: totes / Sling"].met is False


def test_every_target_is_against_a_contestant() -> None:
    assert {name for tools in TARGETS.values() for name in tools} <= {SLING, *DLT}


def test_a_time_is_worth_nothing_where_the_target_differs() -> None:
    expect_equal("Sling", Held(3, "7"), Held(3, "7"))

    with pytest.raises(PipelineError, match="table of Sling"):
        expect_equal("Sling", Held(3, "7"), Held(3, "8"))


TABLES = """
CREATE TABLE one (sales_order_id int, created_at timestamp(3), last_updated timestamp(3), design_id int, staff_id int,
    counterparty_id int, units_sold int, unit_price numeric, currency_id int, agreed_delivery_date varchar,
    agreed_payment_date varchar, agreed_delivery_location_id int);
CREATE TABLE other (sales_order_id bigint, created_at timestamp, last_updated timestamp, design_id bigint,
    staff_id bigint, counterparty_id bigint, units_sold bigint, unit_price numeric(38, 9), currency_id bigint,
    agreed_delivery_date text, agreed_payment_date text, agreed_delivery_location_id bigint, _load_id text);
INSERT INTO one SELECT n, '2025-01-06 08:00:00.123', '2025-01-06 08:00:00', 1, 2, 3, 4, 2.50, 1, '2025-01-08',
    '2025-01-09', n FROM generate_series(1, 3) n;
INSERT INTO other SELECT *, 'x' FROM one ORDER BY sales_order_id DESC"""


def test_the_checksum_sees_values_and_neither_types_nor_order_nor_columns_of_a_tools_own(
    new_database: NewDatabase,
) -> None:
    with open_connection(new_database("checksum")) as session:
        session.run(TABLES)
        one, other = (session.run(CHECKSUM.replace("any_table", table)) for table in ("one", "other"))
        assert one == other
        assert one[0][0] == 3

        session.run("UPDATE other SET created_at = created_at + INTERVAL '1 ms' WHERE sales_order_id = 2")
        assert session.run(CHECKSUM.replace("any_table", "other")) != one


def test_the_checksum_sees_every_column(new_database: NewDatabase) -> None:
    with open_connection(new_database("checksum")) as session:
        session.run(TABLES)
        sums = {session.run(CHECKSUM.replace("any_table", "one"))[0][1]}
        for change in (
            "sales_order_id = 9",
            "created_at = '2025-01-07'",
            "last_updated = '2025-01-07'",
            "design_id = 9",
            "staff_id = 9",
            "counterparty_id = 9",
            "units_sold = 9",
            "unit_price = 9",
            "currency_id = 9",
            "agreed_delivery_date = '2026-01-01'",
            "agreed_payment_date = '2026-01-01'",
            "agreed_delivery_location_id = 9",
        ):
            session.run(f"BEGIN; UPDATE one SET {change} WHERE sales_order_id = 1")
            sums.add(session.run(CHECKSUM.replace("any_table", "one"))[0][1])
            session.run("ROLLBACK")

        assert len(sums) == 1 + 12
