"""What the plan decides: equal for equal random numbers, in the shares asked for, and only what totesys does."""

from collections import Counter
from datetime import date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.local.simulator import Kind, SimulatorOptions
from services.local.simulator.plan import NewOrder, PayDuePayments, Plan, Shares, Update
from services.local.simulator.simulator import repeatable
from shared.errors import ConfigurationError

WEDNESDAY = datetime.fromisoformat("2026-01-07 10:00")
SILENT = {
    "sales_order": {"design_id", "staff_id", "agreed_delivery_date", "agreed_delivery_location_id"},
    "purchase_order": {"staff_id", "item_code", "agreed_delivery_date", "agreed_delivery_location_id"},
    "design": {"file_location"},
}


def plan(number: int = 1, shares: Shares | None = None, paid_through: date = date(2026, 1, 7)) -> Plan:
    return Plan(repeatable(number), shares or Shares(), 3.0, paid_through)


@settings(max_examples=20, deadline=None)
@given(st.integers(), st.lists(st.integers(0, 30), max_size=60))
def test_equal_random_numbers_and_moments_give_equal_events(number, days):
    moments = [WEDNESDAY + timedelta(days=sum(days[:n])) for n in range(len(days))]
    first, second = plan(number), plan(number)

    assert [first.next(moment) for moment in moments] == [second.next(moment) for moment in moments]


def test_events_happen_in_the_shares_asked_for():
    shares, drawn = Shares(), plan()
    planned = [drawn.next(WEDNESDAY) for _ in range(40_000)]

    kinds = Counter(it.kind for it in planned)
    silent = Counter(event.table for it in planned for event in it.events if isinstance(event, Update) and event.silent)
    ties = sum(len(it.events) == 2 for it in planned)
    observed = {
        "late_order": kinds[Kind.LATE_ORDER],
        "design": kinds[Kind.DESIGN],
        "amendment": kinds[Kind.AMENDMENT],
        "deletion": kinds[Kind.DELETION],
        "silent_sales_order": silent["sales_order"],
        "silent_purchase_order": silent["purchase_order"],
        "silent_design": silent["design"],
        "tie": ties,
    }
    expected = {name: pytest.approx(share * kinds[Kind.ORDER], rel=0.15) for name, share in vars(shares).items()}
    assert observed == expected


def test_what_has_no_share_never_happens():
    nothing = Shares(**dict.fromkeys(vars(Shares()), 0.0))
    drawn = plan(shares=nothing)

    assert {drawn.next(WEDNESDAY).kind for _ in range(500)} == {Kind.ORDER}


def test_silent_updates_touch_only_the_columns_seen_to_change():
    drawn = plan()
    events = [event for _ in range(5_000) for event in drawn.next(WEDNESDAY).events if isinstance(event, Update)]

    columns = {}
    for event in events:
        if event.silent:
            columns.setdefault(event.table, set()).add(event.column)
    assert columns == SILENT
    assert {event.table for event in events if not event.silent} == {"address", "department", "staff", "counterparty"}


def test_a_silent_delivery_date_lies_shortly_after_the_moment_of_the_change():
    drawn = plan()
    events = [event for _ in range(5_000) for event in drawn.next(WEDNESDAY).events if isinstance(event, Update)]

    dates = {date.fromisoformat(event.value) for event in events if event.column == "agreed_delivery_date"}
    assert {(day - WEDNESDAY.date()).days for day in dates} == {1, 2, 3, 4, 5, 6, 7}


def test_the_payment_job_runs_first_once_each_weekday_and_never_at_a_weekend():
    drawn = plan(paid_through=date(2026, 1, 8))
    monday = datetime.fromisoformat("2026-01-13 09:00")

    first = [drawn.next(monday) for _ in range(5)]

    jobs = [it.events[0].day for it in first if it.kind is Kind.PAYMENT_JOB]
    assert jobs == [date(2026, 1, 9), date(2026, 1, 12), date(2026, 1, 13)]
    assert first[1].events == (PayDuePayments(date(2026, 1, 12), date(2026, 1, 9)),)
    assert {it.kind is Kind.PAYMENT_JOB for it in first[3:]} == {False}


def test_a_late_order_stays_open_for_long_and_an_ordinary_one_does_not():
    drawn = plan(shares=Shares(late_order=1))
    planned = [drawn.next(WEDNESDAY) for _ in range(300)]

    late = [it for it in planned if it.kind is Kind.LATE_ORDER]
    assert all(0.9 <= it.open_seconds <= 3 for it in late)
    assert {it.writes_last for it in late} == {True, False}
    assert all(it.open_seconds <= 0.02 and not it.writes_last for it in planned if it not in late)


def test_department_four_never_moves():
    drawn = plan(shares=Shares(amendment=50))
    events = [event for _ in range(3_000) for event in drawn.next(WEDNESDAY).events if isinstance(event, Update)]

    places = [event.place for event in events if event.column == "location"]
    assert places
    assert min(places) >= 0.5


def test_orders_are_drawn_for_the_day_they_are_placed():
    drawn = plan()
    orders = [event for _ in range(500) for event in drawn.next(WEDNESDAY).events if isinstance(event, NewOrder)]

    assert {(it.terms.agreed_payment_date - WEDNESDAY.date()).days for it in orders} == {1, 2, 3, 4, 5, 6}


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Shares(deletion=-0.1), "Expected the share deletion to be 0 or more, found -0.1."),
        (lambda: Shares(tie=float("inf")), "Expected the share tie to be 0 or more, found inf."),
        (lambda: SimulatorOptions(orders=-1), "Expected the number of orders to seed to be 0 or more, found -1."),
        (lambda: SimulatorOptions(changes_per_second=0), "Expected changes_per_second to be greater than 0, found 0."),
        (
            lambda: SimulatorOptions(compression=float("nan")),
            "Expected compression to be greater than 0 and at most 100,000, found nan.",
        ),
    ],
)
def test_a_number_that_means_nothing_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(ConfigurationError) as refused:
        make()

    assert str(refused.value) == sentence
