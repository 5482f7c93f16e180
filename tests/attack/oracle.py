"""What the warehouse must hold, from the journal that each change wrote in its own source transaction.

Shares no code with the pipeline. A snapshot's state is the latest journal entry of each key that the snapshot sees
(entries of one key are in the order of their numbers: the row's lock makes them wait for each other).
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pg8000.native import Connection

from tests.attack.witness import Claim, Net, Witness

Row = dict[str, Any]
FINEST_PRICE = -2
"""Exponent of the finest price that the contract allows."""


@dataclass(frozen=True)
class Entry:
    """One change: the source row after it (None: deleted), and whether last_updated says when it was made."""

    row: Row | None
    silent: bool

    @property
    def broken(self) -> bool:
        """Whether the row breaks its contract, so that it is kept in quarantine."""
        price = (self.row or {}).get("unit_price")
        return isinstance(price, Decimal) and int(price.as_tuple().exponent) < FINEST_PRICE


State = dict[tuple[str, int], Entry]
"""Latest entry by table and key."""


class Journal:
    """What was committed, at any of the snapshots asked for."""

    def __init__(self, connection: Connection, snapshots: Iterable[str]) -> None:
        entries = {
            number: ((name, key), Entry(None if image is None else _parsed(image), silent))
            for number, name, key, image, silent in connection.run(_ENTRIES)
        }
        self.now = _state(entries, sorted(entries))
        self.at: dict[str, State] = {
            snapshot: _state(entries, map(int, filter(None, numbers.split(","))))
            for snapshot, numbers in connection.run(_VISIBLE, snapshots=list(snapshots))
        }


_ENTRIES = "SELECT number, name, key, image::text, silent FROM attack.journal"
_VISIBLE = """
SELECT snapshot, coalesce((SELECT string_agg(number::text, ',' ORDER BY number) FROM (
           SELECT DISTINCT ON (name, key) number FROM attack.journal
            WHERE pg_visible_in_snapshot(xid, snapshot::pg_snapshot)
            ORDER BY name, key, number DESC) latest), '')
  FROM unnest(CAST(:snapshots AS text[])) AS asked (snapshot)"""


def _state(entries: dict[int, tuple[tuple[str, int], Entry]], numbers: Iterable[int]) -> State:
    return dict(entries[number] for number in numbers)


def _parsed(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


# -- source rows as star rows


def star_of_sales_order(row: Row) -> Row:
    same = ("sales_order_id", "counterparty_id", "units_sold", "unit_price", "currency_id", "design_id")
    dates = ("agreed_payment_date", "agreed_delivery_date", "agreed_delivery_location_id")
    created, updated = row["created_at"].split("T"), row["last_updated"].split("T")
    return {
        **{name: row[name] for name in (*same, *dates)},
        "sales_staff_id": row["staff_id"],
        **dict(zip(("created_date", "created_time"), created, strict=True)),
        **dict(zip(("last_updated_date", "last_updated_time"), updated, strict=True)),
    }


def star_of_staff(row: Row, state: State) -> Row:
    department = state["department", row["department_id"]].row or {}
    return {
        **{name: row[name] for name in ("staff_id", "first_name", "last_name", "email_address")},
        "department_name": department["department_name"],
        "location": department["location"] or "Unknown",
    }


def star_of_design(row: Row) -> Row:
    return {name: row[name] for name in ("design_id", "design_name", "file_location", "file_name")}


def dimensions_of(state: State) -> dict[str, dict[int, Row]]:
    """The live rows of both dimensions."""
    live = [(name, key, entry.row) for (name, key), entry in state.items() if entry.row is not None]
    return {
        "staff": {key: star_of_staff(row, state) for name, key, row in live if name == "staff"},
        "design": {key: star_of_design(row) for name, key, row in live if name == "design"},
    }


# -- the warehouse


@dataclass(frozen=True)
class Version:
    """One fact row, or one observed deletion (no content), at its position."""

    generation: int
    revision: int
    content: Row | None


class Facts:
    """The history of every sales order, as the warehouse holds it."""

    def __init__(self, connection: Connection) -> None:
        self.events: dict[int, list[Version]] = {}
        self.count = 0
        for key, generation, revision, row in connection.run(_VERSIONS):
            content = None if row is None else _without_bookkeeping(_parsed(row))
            self.count += content is not None
            self.events.setdefault(key, []).append(Version(generation, revision, content))
        self.seen = [tuple(one) for one in connection.run(_SEEN)]
        self.current = {key: _without_bookkeeping(_parsed(row)) for key, row in connection.run(_CURRENT)}
        self.repairs = {int(revision) for (revision,) in connection.run(_REPAIRS)}

    def as_of(self, key: int, revision: int) -> Row | None:
        """What the history shows of a key at a revision (of one generation)."""
        earlier = [one for one in self.events.get(key, ()) if one.revision <= revision]
        return earlier[-1].content if earlier else None

    def last_seen(self, key: int, revision: int) -> int:
        """The revision of the newest observation of a key up to this one."""
        return max((at for one, _, at, _ in self.seen if one == key and at <= revision), default=0)


_VERSIONS = """
SELECT sales_order_id, _generation, _revision, to_jsonb(f)::text FROM warehouse.fact_sales_order f
UNION ALL
SELECT key, generation, revision, NULL FROM warehouse._seen_sales_order WHERE star_hash IS NULL
ORDER BY 1, 2, 3"""
_SEEN = "SELECT key, generation, revision, star_hash FROM warehouse._seen_sales_order"
_CURRENT = "SELECT sales_order_id, to_jsonb(c)::text FROM warehouse.current_sales_order c"
_REPAIRS = "SELECT revision FROM warehouse._load_batch WHERE origin = 'repair' AND feed = 'sales_order'"
_DIMENSION = """
SELECT {key}, to_jsonb(d)::text FROM warehouse.{table} d
 WHERE _generation > 0 AND ((_deleted_generation, _deleted_revision) > (_generation, _revision)) IS NOT TRUE"""


def dimensions_in(connection: Connection) -> dict[str, dict[int, Row]]:
    """The live rows of both dimensions, as the warehouse holds them."""
    return {
        name: {
            key: _without_bookkeeping(_parsed(row))
            for key, row in connection.run(_DIMENSION.format(key=f"{name}_id", table=f"dim_{name}"))
        }
        for name in ("staff", "design")
    }


@dataclass(frozen=True)
class Described:
    """A dimension's row whether it lives or not, and whether its last word came from the reconciler."""

    row: Row
    repaired: bool


def described_in(connection: Connection) -> dict[str, dict[int, Described]]:
    """Every row of both dimensions that was described at least once."""
    return {
        name: {
            key: Described(_without_bookkeeping(_parsed(row)), repaired)
            for key, row, repaired in connection.run(
                _DESCRIBED.format(key=f"{name}_id", table=f"dim_{name}", name=name)
            )
        }
        for name in ("staff", "design")
    }


_DESCRIBED = """
SELECT {key}, to_jsonb(d)::text, EXISTS (
           SELECT FROM warehouse._load_batch b
            WHERE b.feed = '{name}' AND b.origin = 'repair' AND b.revision = greatest(d._revision, d._deleted_revision))
  FROM warehouse.{table} d WHERE _generation > 0"""


def _without_bookkeeping(row: Row) -> Row:
    return {name: value for name, value in row.items() if name[0] != "_" and name != "sales_record_id"}


# -- the verdict


def orders(state: State) -> Iterator[tuple[int, Entry]]:
    """Sales orders of a state, but those that lie in quarantine."""
    return ((key, entry) for (name, key), entry in state.items() if name == "sales_order" and not entry.broken)


def content(entry: Entry | None) -> Row | None:
    return None if entry is None or entry.row is None else star_of_sales_order(entry.row)


def check_now(journal: Journal, facts: Facts, dimensions: dict[str, dict[int, Row]]) -> None:
    """After a reconcile whose repairs were delivered: what is current is what is committed."""
    broken = {key for (_, key), entry in journal.now.items() if entry.broken}
    expected = {key: row for key, entry in orders(journal.now) if (row := content(entry)) is not None}
    assert {key: row for key, row in facts.current.items() if key not in broken} == expected
    assert dimensions == dimensions_of(journal.now)


def check_history(journal: Journal, facts: Facts, witness: Witness, counts: Counter[str]) -> None:
    """Every observation is what its snapshot showed, every run of equal ones is one version, nothing claimed lacks."""
    snapshots = {revision: text for text, revision in witness.snapshots.items()}
    counts["snapshots"] += len(witness.snapshots)
    _check_equal_revisions(journal, witness)
    for key, _, revision, star_hash in facts.seen:
        entry = journal.at[snapshots[revision]].get(("sales_order", key))
        there = entry is not None and entry.row is not None
        assert there == (star_hash is not None), f"{key} at {revision}: expected {entry}, found {star_hash}"
    for key, events in facts.events.items():
        _check_versions(key, events, [journal.at[snapshots[one.revision]] for one in events], counts)
    for claim in witness.claims:
        _check_claim(claim, journal, facts, witness.snapshots[claim.snapshot], counts)


def _check_equal_revisions(journal: Journal, witness: Witness) -> None:
    """Snapshots of one revision see the same, or it would be no clock."""
    first: dict[int, str] = {}
    for text, revision in witness.snapshots.items():
        assert journal.at[text] == journal.at[first.setdefault(revision, text)]


def _check_versions(key: int, events: list[Version], states: list[State], counts: Counter[str]) -> None:
    before: Version | None = None
    for one, state in zip(events, states, strict=True):
        assert one.content == content(state.get(("sales_order", key))), f"{key} at {one.revision}"
        if one.content is not None:
            assert before is None or before.content != one.content, f"{key} has a version too many at {one.revision}"
            counts["versions"] += 1
        before = one


def _check_claim(claim: Claim, journal: Journal, facts: Facts, revision: int, counts: Counter[str]) -> None:
    """The history as of a snapshot that was read to its end equals what was committed there."""
    counts[f"claims of a {claim.net}"] += 1
    state, before = journal.at[claim.snapshot], journal.at.get(claim.counted_before or "", {})
    for key, entry in orders(state):
        if not _must_show(claim.net, key, entry, before):
            continue
        if entry.row is not None and entry.silent and facts.last_seen(key, revision) in facts.repairs:
            counts["excused after a repair"] += 1
            continue
        assert facts.as_of(key, revision) == content(entry), f"{key} as of {revision}, read by a {claim}"
        counts["compared"] += 1


def _must_show(net: Net, key: int, entry: Entry, before: State) -> bool:
    """Whether a read had to see a row as it is: a poll what moved last_updated, a scan every row, and by counting those
    that went since it counted before."""
    if entry.row is None:
        known = before.get(("sales_order", key))
        return net is Net.SCAN and known is not None and known.row is not None
    return net is Net.SCAN or not entry.silent
