"""Facts keep exact history and dimensions the latest state, in any order and grouping: against an oracle."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, groupby
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.star import DimStaff, FactSalesOrder
from services.loader.warehouse import Warehouse
from tests.loader.conftest import Star, load_all
from tests.loader.rows import SALE, STAFF, Made, again, at, changed, deleted

START = datetime(2026, 11, 23, 12, tzinfo=UTC)
CREATED = datetime(2026, 11, 20, 9, 30, 0, 123000, tzinfo=UTC)
EXAMPLES = settings(max_examples=150, deadline=None)
KEYS = (0, 1)
_first_keys = count(1_000_000, len(KEYS))

Place = tuple[int, int, int]
places = st.tuples(st.integers(1, 2), st.integers(1, 4), st.integers(1, 2))
contents = st.one_of(st.integers(1, 3), st.none())
worlds = st.dictionaries(st.tuples(st.sampled_from(KEYS), places), contents, min_size=1, max_size=12)
"""What was true: (key, place) -> content, None where the key was deleted. A place has one truth, as in any source."""


@dataclass(frozen=True)
class Sent:
    """A load batch to be made: one place, one operation, its rows, and how late it was read."""

    place: Place
    rows: tuple[tuple[int, int | None], ...]
    lateness: int

    @property
    def as_of(self) -> datetime:
        """The source's clock goes on with the snapshots; one snapshot may be read more than once."""
        generation, revision, contract = self.place
        return START + timedelta(seconds=100 * generation + 20 * revision + 5 * contract + self.lateness)


@st.composite
def deliveries(draw: st.DrawFn) -> tuple[dict[tuple[int, Place], int | None], list[list[Sent]]]:
    """A world, and a sequence of transactions that tell all of it: in any order, parts of it repeatedly."""
    world = draw(worlds)
    told = list(world.items())
    told += draw(st.lists(st.sampled_from(told), max_size=6))
    told = draw(st.permutations(told))
    batches = []
    for (place, _), group in groupby(told, key=lambda item: (item[0][1], item[1] is None)):
        rows = tuple({key: content for (key, _), content in group}.items())
        batches.append(Sent(place, rows, draw(st.integers(0, 3))))
    cuts = draw(st.lists(st.booleans(), min_size=len(batches), max_size=len(batches)))
    transactions: list[list[Sent]] = [[]]
    for batch, cut in zip(batches, cuts, strict=True):
        if cut and transactions[-1]:
            transactions.append([])
        transactions[-1].append(batch)
    return world, transactions


def made(sent: Sent, first: int, table: Any) -> Made:
    position = at(*sent.place)
    if sent.rows[0][1] is None:
        return deleted(table, [first + key for key, _ in sent.rows], position, as_of=sent.as_of)
    if table is DimStaff:
        rows = [{**STAFF, "staff_id": first + key, "location": f"content {content}"} for key, content in sent.rows]
    else:
        rows = [{**SALE, "sales_order_id": first + key, "units_sold": content} for key, content in sent.rows]
    return changed(table, rows, position, as_of=sent.as_of)


def expected_history(
    world: dict[tuple[int, Place], int | None], transactions: list[list[Sent]]
) -> Iterator[tuple[int, Place, int, datetime, datetime | None, str | None]]:
    """Brute force: walk each key's observations in order of their place, and open and close versions."""
    first_sight = {
        (key, sent.place): min(
            other.as_of
            for group in transactions
            for other in group
            if other.place == sent.place and key in dict(other.rows)
        )
        for group in transactions
        for sent in group
        for key, _ in sent.rows
    }
    for key in KEYS:
        seen = sorted((place, content) for (other, place), content in world.items() if other == key)
        events = [
            (place, content, first_sight[key, place])
            for number, (place, content) in enumerate(seen)
            if number == 0 or seen[number - 1][1] != content
        ]
        for number, (place, content, moment) in enumerate(events):
            if content is None:
                continue
            end = events[number + 1] if number + 1 < len(events) else None
            yield (
                key,
                place,
                content,
                CREATED if number == 0 else moment,
                None if end is None else end[2],
                None if end is None else ("deleted" if end[1] is None else "changed"),
            )


def sorted_place(item: tuple[Any, ...]) -> tuple[Any, ...]:
    return item[:2]


class Facts:
    """One connection for all examples: a new one each would be most of the time."""

    def __init__(self, star: Star, trusted: str) -> None:
        self.warehouse = star.warehouse(login=trusted)
        self.reader = star.connect("totes_analyst")

    def history(self, first: int) -> list[Any]:
        rows = self.reader.run(
            "SELECT h.sales_order_id - :first, f._generation, f._revision, f._contract, h.units_sold,"
            " h.valid_from, h.valid_to, h.ended_by"
            " FROM history_sales_order h JOIN fact_sales_order f USING (sales_record_id)"
            " WHERE h.sales_order_id BETWEEN :first AND :last ORDER BY 1, 2, 3, 4",
            first=first,
            last=first + len(KEYS) - 1,
            types={"first": 23, "last": 23},
        )
        return [(key, (g, r, c), *rest) for key, g, r, c, *rest in rows]

    def seen(self, first: int) -> list[Any]:
        """Key and place of every observation: each once, as a version or beside them."""
        rows = self.reader.run(
            "SELECT key - :first, generation, revision, contract FROM _seen_sales_order"
            " WHERE key BETWEEN :first AND :last ORDER BY 1, 2, 3, 4",
            first=first,
            last=first + len(KEYS) - 1,
            types={"first": 23, "last": 23},
        )
        return [(key, tuple(place)) for key, *place in rows]

    def current(self, first: int) -> list[Any]:
        return self.reader.run(
            "SELECT sales_order_id - :first, units_sold FROM current_sales_order"
            " WHERE sales_order_id BETWEEN :first AND :last ORDER BY 1",
            first=first,
            last=first + len(KEYS) - 1,
            types={"first": 23, "last": 23},
        )


@pytest.fixture(scope="session")
def facts(common_star: Star, trusted: str) -> Facts:
    return Facts(common_star, trusted)


def tell(facts: Facts, world: Any, transactions: list[list[Sent]], many_rows: int) -> None:
    """Load all of it, and hold what the warehouse then shows to what was true."""
    first = next(_first_keys)
    expected = sorted(expected_history(world, transactions), key=sorted_place)

    for group in transactions:
        load_all(facts.warehouse, *(made(sent, first, FactSalesOrder) for sent in group), many_rows=many_rows)

    assert facts.history(first) == expected
    assert facts.seen(first) == sorted(world)
    assert facts.current(first) == [[key, content] for key, _, content, _, end, _ in expected if end is None]


@pytest.mark.no_cover
@given(deliveries(), st.integers(1, 4))
@EXAMPLES
def test_any_order_repetition_and_grouping_of_observations_ends_in_the_same_history(
    facts: Facts, told: Any, many_rows: int
) -> None:
    """However many rows make a merge large, which then takes other ways to the same end."""
    tell(facts, *told, many_rows)


@st.composite
def mostly_in_order(draw: st.DrawFn) -> tuple[dict[tuple[int, Place], int | None], list[list[Sent]]]:
    """As polls bring it: each snapshot later than the one before, few deletions, sometimes two the wrong way round."""
    told = draw(st.lists(st.dictionaries(st.sampled_from(KEYS), st.integers(1, 2), min_size=1), min_size=2, max_size=6))
    gone = draw(st.sets(st.integers(0, len(told) - 1), max_size=1))
    transactions = []
    for revision, contents_by_key in enumerate(told):
        rows = ((key, None if revision in gone else content) for key, content in sorted(contents_by_key.items()))
        transactions.append([Sent((1, revision, 1), tuple(rows), 0)])
    late = draw(st.sets(st.integers(0, len(told) - 2), max_size=1))
    for place in late:
        transactions[place : place + 2] = reversed(transactions[place : place + 2])
    world = {(key, sent.place): content for [sent] in transactions for key, content in sent.rows}
    return world, transactions


@pytest.mark.no_cover
@given(mostly_in_order(), st.sampled_from((1, 3)))
@EXAMPLES
def test_what_comes_mostly_in_order_ends_in_its_history_whichever_way_it_is_merged(
    facts: Facts, told: Any, many_rows: int
) -> None:
    """Rows that begin versions are copied without a stage, where they are many; the others are compared."""
    tell(facts, *told, many_rows)


@pytest.mark.no_cover
@given(deliveries(), st.lists(st.sampled_from(KEYS), max_size=2))
@EXAMPLES
def test_any_order_repetition_and_grouping_ends_in_the_same_member(
    facts: Facts, told: Any, referred: list[int]
) -> None:
    """A member may also be inferred from a fact before, between or after its own rows."""
    world, transactions = told
    first = next(_first_keys)

    for number, group in enumerate(transactions):
        if number < len(referred):
            refer(facts.warehouse, first + referred[number])
        load_all(facts.warehouse, *(made(sent, first, DimStaff) for sent in group))
    found = facts.reader.run(
        "SELECT staff_id - :first, location, _generation, _revision, _contract, _deleted_generation, _deleted_revision,"
        " _inferred_at IS NOT NULL, _star_hash IS NULL, _seen_at FROM dim_staff"
        " WHERE staff_id BETWEEN :first AND :last ORDER BY 1",
        first=first,
        last=first + len(KEYS) - 1,
        types={"first": 23, "last": 23},
    )

    assert [tuple(row) for row in found] == expected_members(world, transactions, referred[: len(transactions)])


def refer(warehouse: Warehouse, staff_id: int) -> None:
    load_all(
        warehouse, changed(FactSalesOrder, [{**SALE, "sales_order_id": staff_id, "sales_staff_id": staff_id}], at(1, 1))
    )


def expected_members(
    world: dict[tuple[int, Place], int | None], transactions: list[list[Sent]], referred: list[int]
) -> list[Any]:
    members = []
    for key in KEYS:
        states = {place: content for (other, place), content in world.items() if other == key}
        newest = max((place for place, content in states.items() if content is not None), default=None)
        gone = max((place for place, content in states.items() if content is None), default=(None, None))
        if newest is not None:
            sights = [s.as_of for group in transactions for s in group if s.place == newest and key in dict(s.rows)]
            members.append((key, f"content {states[newest]}", *newest, *gone[:2], False, False, min(sights)))
        elif states or key in referred:
            members.append((key, "Unknown", 0, 0, 0, *gone[:2], True, True, None))
    return members


def test_a_late_observation_splits_a_run_and_its_second_part_is_a_copy(star: Star) -> None:
    warehouse = star.warehouse()
    for revision, units in ((10, 1000), (30, 1000), (20, 5)):
        load_all(warehouse, changed(FactSalesOrder, [{**SALE, "units_sold": units}], at(1, revision)))

    versions = star.rows("SELECT _revision, units_sold FROM fact_sales_order ORDER BY 1")

    assert versions == [[10, 1000], [20, 5], [30, 1000]]


def test_a_new_contract_over_an_equal_snapshot_makes_a_version_only_where_the_star_row_differs(star: Star) -> None:
    rows = [{**SALE, "sales_order_id": 1}, {**SALE, "sales_order_id": 2}]
    load_all(star.warehouse(), changed(FactSalesOrder, rows, at(1, 10, 1)))

    load_all(star.warehouse(), changed(FactSalesOrder, [rows[0], {**rows[1], "units_sold": 1}], at(1, 10, 2)))

    versions = star.rows("SELECT sales_order_id, _contract FROM fact_sales_order ORDER BY 1, 2")
    assert versions == [[1, 1], [2, 1], [2, 2]]


def test_a_first_version_holds_from_its_creation_in_the_feeds_time_zone(star: Star) -> None:
    summer = {**SALE, "created_date": date(2026, 7, 1), "created_time": time(9, 0)}
    load_all(star.warehouse(), changed(FactSalesOrder, [summer], at(1, 10), time_zone="Europe/London"))
    load_all(
        star.warehouse(), changed(FactSalesOrder, [{**summer, "units_sold": 1}], at(1, 20), time_zone="Europe/London")
    )

    [[first], [second]] = star.rows("SELECT valid_from FROM history_sales_order ORDER BY sales_record_id")

    assert (first, second) == (
        datetime(2026, 7, 1, 8, tzinfo=UTC),
        datetime(2026, 11, 23, 12, 0, 0, 250000, tzinfo=UTC),
    )


def test_the_time_zone_is_that_of_the_newest_snapshot_whatever_order_they_came_in(star: Star) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(2, 10), time_zone="Europe/London"))
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 99), time_zone="UTC"))

    assert star.rows("SELECT time_zone, generation, revision, rows_loaded FROM _feed") == [["Europe/London", 2, 10, 2]]


def test_a_version_created_in_the_future_still_holds_from_when_it_was_read(star: Star) -> None:
    """An application's clock that runs ahead must not make a version end before it begins."""
    load_all(star.warehouse(), changed(FactSalesOrder, [{**SALE, "created_date": date(2027, 1, 1)}], at(1, 10)))

    [[begin]] = star.rows("SELECT valid_from FROM history_sales_order")

    assert begin == datetime(2026, 11, 23, 12, 0, 0, 250000, tzinfo=UTC)


def test_a_repeated_position_keeps_the_earlier_sight(star: Star) -> None:
    batch = changed(FactSalesOrder, [SALE], at(1, 10))
    earlier = batch.batch.data.as_of - timedelta(seconds=5)
    load_all(star.warehouse(), batch)

    load_all(star.warehouse(), again(batch, as_of=earlier), again(batch, as_of=earlier + timedelta(seconds=1)))

    assert star.rows("SELECT seen_at FROM _seen_sales_order") == [[earlier]]


SEEN = "SELECT key, generation, revision, contract, row_hash, star_hash, seen_at FROM _seen_sales_order"


@pytest.mark.parametrize(
    "edit",
    [
        "DELETE FROM fact_sales_order",
        "TRUNCATE fact_sales_order",
        "UPDATE fact_sales_order SET _star_hash = 5",
        "UPDATE fact_sales_order SET sales_order_id = 99 WHERE sales_order_id = 1",
        "UPDATE fact_sales_order SET _revision = _revision + 1 WHERE _revision = 20",
    ],
)
def test_what_somebody_does_to_versions_by_hand_makes_no_observation_forgotten(star: Star, edit: str) -> None:
    """Else nobody could tell that a version is missing."""
    both = [{**SALE, "sales_order_id": 1}, {**SALE, "sales_order_id": 2}]
    load_all(star.warehouse(), changed(FactSalesOrder, both, at(1, 10)))
    load_all(star.warehouse(), changed(FactSalesOrder, [{**both[0], "units_sold": 1}, both[1]], at(1, 20)))
    load_all(star.warehouse(), deleted(FactSalesOrder, [2], at(1, 30)))
    before = star.rows(SEEN)

    star.rows(edit)

    assert len(before) == 5
    assert [one for one in before if one not in star.rows(SEEN)] == []


def test_an_edit_of_what_versions_say_leaves_nothing_beside_them(star: Star) -> None:
    load_all(star.warehouse(), changed(FactSalesOrder, [SALE], at(1, 10)))

    star.rows("UPDATE fact_sales_order SET units_sold = 5")

    assert star.rows("SELECT count(*) FROM _unversioned_sales_order") == [[0]]
