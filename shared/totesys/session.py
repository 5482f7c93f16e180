"""The adapter to totesys: one connection, snapshots of one feed, COPY out of them.

Invariant: a snapshot is what "How a poll reads" asks for, in this order: clock, open transactions, LOCK, snapshot,
open transactions again; and everything said of it was read in its own transaction. Nothing is ever written. After
any error that is not Postgres's own answer the connection is closed, because its state is unknown.
"""

import struct
import sys
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NoReturn

from pg8000.native import InterfaceError

from contracts.feeds import Feed
from shared.checkpoint import LEAST_KEY, SourceIdentity
from shared.errors import PipelineError, SourceUnavailable
from shared.postgres import Connection, DatabaseError, Sink, as_array, copy_out, explain, hang_up, rows_of
from shared.totesys import catalog, sql
from shared.totesys.snapshot import Conditions, Snapshot, Transaction, Vitals

KEYS_AT_ONCE = 100_000
"""Listed in one statement: 1.6 MB of text, a fifth of what a page may hold."""
_BUSY = frozenset({"55P03", "57014"})
"""SQLSTATEs of a lock or a statement that took too long: another round may succeed."""
_BROKEN = frozenset({"42703", "42P01", "42501", "3F000", "42809", "42846", "42883"})
"""SQLSTATEs of a table, column, type or privilege that is not what the contract says."""


class FeedBusy(SourceUnavailable):
    """This feed could not be read in time; the others can. Nothing is lost by skipping it for a round."""


class FeedBroken(PipelineError):
    """A table, column or privilege of this feed is missing: the catalog says which."""


@dataclass(frozen=True)
class Pulse:
    """Step 1 of a poll: the source's clock (UTC), then the transactions open, then a snapshot of the cluster."""

    clock: datetime
    listed: tuple[Transaction, ...]
    vitals: Vitals


@dataclass(frozen=True)
class Seen(Pulse):
    """An open snapshot of one feed.

    `still_listed`: transactions listed after it was taken. `relations`: oid and relfilenode of the feed's tables and
    partitions. `rows`: an estimate of the feed's size.
    """

    still_listed: tuple[Transaction, ...]
    relations: tuple[tuple[int, int], ...]
    rows: int


@dataclass(frozen=True)
class Glimpse:
    """Whether a row of a feed meets the conditions; how many rows it has, where they were counted."""

    met: bool
    rows: int | None


@dataclass(frozen=True)
class _Held:
    """Where a table's rows lie, as oid and relfilenode of it and its partitions, and an estimate of their number."""

    relations: tuple[tuple[int, int], ...]
    rows: int


class Source:
    """One session on totesys, opened when first needed and after each loss of it."""

    def __init__(
        self,
        connect: Callable[[], Connection],
        *,
        schema: str,
        statement_timeout_seconds: float,
        lock_timeout_seconds: float,
    ) -> None:
        """Take what opens a connection, the schema of the feeds' tables, and the longest waits in seconds."""
        self._connect = connect
        self._schema = schema
        self._waits: Any = {
            "statement_timeout_seconds": statement_timeout_seconds,
            "lock_timeout_seconds": lock_timeout_seconds,
        }
        self._connection: Connection | None = None
        self._version = 0

    def open(self) -> bool:
        """Connect if there is no connection; whether it is a new one."""
        if self._connection is not None:
            return False
        self._connection = self._connect()
        with self._answering():
            self._version = int(self._run("SHOW server_version_num")[0][0])
        return True

    def close(self) -> None:
        """Give the connection up; a half-read answer on it goes with it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            hang_up(connection)

    def examine(self, feeds: Sequence[Feed]) -> "catalog.Findings":
        """Hold the feeds' contracts against the source's catalog."""
        with self._answering():
            return catalog.examine(self._session, feeds, self._schema)

    def pulse(self) -> Pulse:
        """One round trip that tells whether anything can be new."""
        with self._answering():
            (clock,), (listed,), vitals = self._run(sql.PULSE)
            return Pulse(_utc(clock), _transactions(listed), _vitals(vitals))

    @contextmanager
    def snapshot(self, feed: Feed) -> Iterator[Seen]:
        """Take a snapshot of a feed and hold it open.

        Raises FeedBusy where a lock or a statement took too long, FeedBroken where the catalog is not the contract's,
        SourceUnavailable where the source is lost.
        """
        with self._begun(sql.begin([feed], self._schema, **self._waits), [feed]) as seen:
            yield seen[feed.name]

    @contextmanager
    def snapshot_of_all(self, feeds: Sequence[Feed]) -> Iterator[Mapping[str, Seen]]:
        """Take one snapshot of several feeds, by name, and hold it open; a table that is locked is not waited for.

        Raises as `snapshot` does.
        """
        with self._begun(sql.begin(feeds, self._schema, **self._waits, wait=False), feeds) as seen:
            yield seen

    @contextmanager
    def _begun(self, begin: str, feeds: Sequence[Feed]) -> Iterator[Mapping[str, Seen]]:
        with self._answering():
            (clock,), (listed,) = self._run(sql.LOOK)
            self._run(begin)
            vitals = self._run(sql.VITALS)[0]
            still = self._run(sql.OPEN_TRANSACTIONS)[0][0]
            held = self._held(feeds)
            yield {
                feed.name: Seen(
                    clock=_utc(clock),
                    listed=_transactions(listed),
                    vitals=_vitals(vitals),
                    still_listed=_transactions(still),
                    relations=tuple(sorted({one for table in feed.tables for one in held[table].relations})),
                    rows=sum(held[table].rows for table in feed.tables),
                )
                for feed in feeds
            }
            self._run("COMMIT")

    def _held(self, feeds: Sequence[Feed]) -> dict[str, _Held]:
        """Where the rows of the feeds' tables lie, by the table's name."""
        tables = {sql.qualified(self._schema, table): table for feed in feeds for table in feed.tables}
        found = rows_of(self._session, sql.RELATIONS, tables=list(tables))
        return {
            tables[name]: _Held(tuple((int(oid), int(node)) for oid, node in relations), int(rows))
            for name, relations, rows in found
        }

    def glance(self, feeds: Sequence[Feed], asked: Sequence[Conditions], *, xmax: int) -> list[Glimpse]:
        """Look whether any row of each feed meets its conditions, all feeds in one statement of the open snapshot.

        A feed that is asked for no `last_updated` is looked at whole, and its rows are counted (of a joined feed too
        many where a row has several partners). Each must be asked for transaction ids.
        """
        values: dict[str, str | None] = {"xmax": str(xmax)}
        for place, one in enumerate(asked):
            values |= {sql.at(name, place): value for name, value in _values(one).items()}
        self._hand_over(values)
        found = self._run(sql.glance(tuple(feeds), tuple(asked), self._schema))
        return [Glimpse(bool(met), None if rows is None else int(rows)) for _, met, rows in sorted(found)]

    def hashes_alike(self, feed: Feed) -> bool:
        """Whether the feed's row hashes follow from what `copy_unhashed` streams, for whoever reads that."""
        return self._version >= sql.RECORD_HASH_VERSION and bool(self._run(sql.hashes_alike(feed, self._schema))[0][0])

    def copy(self, feed: Feed, asked: Conditions, sink: Sink, *, after: int, limit: int, xmax: int) -> int:
        """Stream the feed's rows that meet the conditions, in key order, out of the open snapshot; their number."""
        self._hand_over(_span(after, limit, xmax) | _values(asked))
        return copy_out(self._session, sql.copy_rows(feed, self._schema, asked, server_version=self._version), sink)

    def copy_unhashed(self, feed: Feed, asked: Conditions, sink: Sink, *, after: int, limit: int, xmax: int) -> int:
        """Stream the same rows without their hashes."""
        self._hand_over(_span(after, limit, xmax) | _values(asked))
        return copy_out(self._session, sql.copy_unhashed(feed, self._schema, asked), sink)

    def copy_hashes(self, feed: Feed, low: int, high: int, sink: Sink) -> int:
        """Stream key and row hash of the keys above `low` up to `high` out of the open snapshot; the number of rows."""
        rows_of(self._session, sql.SET_RANGE, low=str(low), high=str(high), width="1")
        return copy_out(self._session, sql.copy_hashes(feed, self._schema, server_version=self._version), sink)

    def copy_checksums(self, feed: Feed, low: int, high: int, width: int, sink: Sink) -> None:
        """Stream part, rows and sum of row hashes of that range out of the open snapshot, `width` keys a part."""
        rows_of(self._session, sql.SET_RANGE, low=str(low), high=str(high), width=str(width))
        copy_out(self._session, sql.copy_checksums(feed, self._schema, server_version=self._version), sink)

    def copy_bounds(self, feed: Feed, after: int, limit: int, sink: Sink) -> None:
        """Stream number, least and greatest key of the first rows behind `after`; nothing where there is none."""
        rows_of(self._session, sql.SET_BOUNDS, after=str(after), limit=str(limit))
        copy_out(self._session, sql.copy_bounds(feed, self._schema), sink)

    def copy_keys(self, feed: Feed, keys: Sequence[int], sink: Sink) -> int:
        """Stream the rows of these keys, in their order, out of the open snapshot; the number of those found."""
        rows_of(self._session, sql.SET_KEYS, keys=as_array(keys))
        return copy_out(self._session, sql.copy_rows_of_keys(feed, self._schema, server_version=self._version), sink)

    def all_keys(self, feed: Feed, at_once: int = KEYS_AT_ONCE) -> Iterator["array[int]"]:
        """Every key of the feed in the open snapshot, in key order; `at_once` at a time, the last time fewer."""
        text, after = sql.keys_ahead(feed, self._schema), LEAST_KEY
        while True:
            keys = _keys(rows_of(self._session, text, after=str(after), limit=str(at_once))[0][0])
            yield keys
            if len(keys) < at_once:
                return
            after = keys[-1]

    def count_rows(self, feed: Feed) -> int:
        """How many rows the feed has in the open snapshot."""
        return int(self._run(sql.count_rows(feed, self._schema))[0][0])

    def _hand_over(self, values: Mapping[str, str | None]) -> None:
        rows_of(self._session, sql.set_values(tuple(values)), **values)

    @property
    def _session(self) -> Connection:
        if self._connection is None:
            raise SourceUnavailable("The connection to the source was lost: the next poll opens another.")
        return self._connection

    def _run(self, text: str) -> list[list[Any]]:
        return rows_of(self._session, text)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn the driver's errors into ours; keep the connection only where Postgres itself answered."""
        try:
            yield
        except DatabaseError as exc:
            self._roll_back()
            _explain(exc)
        except (InterfaceError, OSError, struct.error) as exc:
            self.close()
            explain(exc, "the source", unavailable=SourceUnavailable)
        except BaseException:
            self.close()
            raise

    def _roll_back(self) -> None:
        try:
            self._run("ROLLBACK")
        except (DatabaseError, InterfaceError, OSError, struct.error):
            self.close()


def _explain(exc: DatabaseError) -> NoReturn:
    answer = exc.args[0] if exc.args and isinstance(exc.args[0], dict) else {}
    state, text = answer.get("C", ""), answer.get("M", "")
    if state in _BUSY:
        raise FeedBusy(f"The source let a feed wait too long: {text} (SQLSTATE {state}).") from exc
    if state in _BROKEN:
        raise FeedBroken(f"The source is not as the contract says: {text} (SQLSTATE {state}).") from exc
    explain(exc, "the source", unavailable=SourceUnavailable)


def _transactions(listed: Sequence[dict[str, Any]]) -> tuple[Transaction, ...]:
    return tuple(
        Transaction(one["virtual"], one["prepared"], tuple(one["ids"]), _moment(one["started"])) for one in listed
    )


def _span(after: int, limit: int, xmax: int) -> dict[str, str | None]:
    """Where a read goes on, how far it goes, and how its transaction ids are to be taken."""
    return {"after": str(after), "limit": str(limit), "xmax": str(xmax)}


def _values(asked: Conditions) -> dict[str, str | None]:
    """Conditions as the texts that the SQL reads back."""
    each = {"look_back": asked.look_back, "oldest_new_id": asked.oldest_new_id, "polled_from": asked.polled_from}
    return {name: None if value is None else str(value) for name, value in each.items()}


def _keys(digits: str | None) -> "array[int]":
    """Keys out of their hexadecimal digits."""
    keys = array("q", bytes.fromhex(digits or ""))
    if sys.byteorder == "little":
        keys.byteswap()
    return keys


def _moment(text: str | None) -> datetime | None:
    return None if text is None else _utc(datetime.fromisoformat(text))


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _vitals(row: Sequence[Any]) -> Vitals:
    in_recovery, system, database, timeline, wal, stats_reset, snapshot = row
    return Vitals(
        in_recovery=in_recovery,
        identity=SourceIdentity(system_identifier=system, database=database, timeline=int(timeline or "0", 16)),
        wal=wal or 0,
        stats_reset=stats_reset and _utc(stats_reset),
        snapshot=Snapshot.parse(snapshot),
    )
