"""The readers: our own poller, between stand-ins that record what was sent, and the two that everybody writes first."""

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.synchronize import Event
from typing import Any

from contracts.feeds import FEEDS, Feed
from contracts.messages import ObjectRef
from services.poller.poller import Adapters, Poller
from shared.archive import Publisher
from shared.checkpoint import CheckpointStore
from shared.errors import CheckpointConflict
from shared.objects import Found
from shared.postgres import Dsn, Sink, connect
from shared.settings import Settings
from shared.telemetry import logger
from shared.totesys.session import Source
from shared.totesys.snapshot import Conditions
from tests.conftest import open_connection
from tests.poller.archived import decode

INTERVAL_SECONDS = 0.1
LAST_ROUNDS = 3
"""After the writers have ended: what a reader has not found by then, it does not find."""
LOOK_BACK = "500 milliseconds"


@dataclass
class Outcome:
    """What one reader did: each row it passed on, in order, with the time; rows read; rounds."""

    sent: list[tuple[int, str, float]] = field(default_factory=list)
    rows_read: int = 0
    polls: int = 0


class Store:
    """An object store in memory, for archive and checkpoint."""

    def __init__(self) -> None:
        self._objects: dict[str, tuple[bytes, Mapping[str, str]]] = {}
        self._moves = 0

    def put_once(self, ref: ObjectRef, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        held, _ = self._objects.setdefault(ref.key, (body, metadata or {}))
        assert held == body

    def get(self, key: str) -> bytes:
        return self._objects[key][0]

    def keys(self, bucket: str, prefix: str, after: str = "") -> Iterator[str]:
        return iter(sorted(key for key in self._objects if key.startswith(prefix) and key > after))

    def find(self, bucket: str, key: str) -> Found | None:
        return Found(self.get(key), str(self._moves), 0.0) if key in self._objects else None

    def compare_and_set(self, bucket: str, key: str, body: bytes, etag: str | None) -> str:
        if etag != (str(self._moves) if self._moves else None):
            raise CheckpointConflict("The checkpoint was moved by another owner.")
        self._objects[key] = (body, {})
        self._moves += 1
        return str(self._moves)


class Channel:
    """A queue that acknowledges everything and keeps it with the time."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, float]] = []

    def send(self, bodies: Sequence[str]) -> None:
        at = time.monotonic()
        self.messages += [(body, at) for body in bodies]


class CountingSource(Source):
    """The real source, counting what COPY gave."""

    rows_read = 0

    def copy(self, feed: Feed, asked: Conditions, sink: Sink, *, after: int, limit: int, xmax: int) -> int:
        read = super().copy(feed, asked, sink, after=after, limit=limit, xmax=xmax)
        self.rows_read += read
        return read


def poll_ours(dsn: str, margin_seconds: float, ready: Event, stop: Event) -> Outcome:
    """Our poller over designs alone, with the scan off and no reconciler."""
    store, channel, source = Store(), Channel(), _source(dsn)
    poller = _poller(store, channel, source, margin_seconds)
    assert poller.claim()
    outcome = Outcome()
    _rounds(lambda: _drain(poller), outcome, ready, stop)
    source.close()
    outcome.rows_read = source.rows_read
    outcome.sent = [row for body, at in channel.messages for row in _rows(store, json.loads(body)["data"], at)]
    return outcome


def _source(dsn: str) -> CountingSource:
    waits = {"statement_timeout_seconds": 60.0, "lock_timeout_seconds": 2.0}
    parsed = Dsn.parse(dsn)
    return CountingSource(lambda: connect(parsed, application_name="late-commits", **waits), schema="public", **waits)


def _poller(store: Any, channel: Any, source: Source, margin_seconds: float) -> Poller:
    adapters = Adapters(
        source=source,
        publisher=Publisher(store, "archive", channel),
        checkpoints=CheckpointStore(store, "control"),
        log=logger("late-commits", "ERROR"),
    )
    settings = Settings(poll_interval_seconds=INTERVAL_SECONDS, margin_seconds=margin_seconds, scan_max_rows=0)
    return Poller(owner="only", feeds=[FEEDS["design"]], settings=settings, adapters=adapters, now=time.monotonic)


def _drain(poller: Poller) -> None:
    poller.poll()
    while poller.busy:
        poller.poll()


def _rows(store: Store, data: dict[str, Any], at: float) -> Iterator[tuple[int, str, float]]:
    assert data["origin"] != "scan", "the scan must be off"
    key, version = (data["columns"].index(name) for name in ("design_id", "design_name"))
    for row in decode(store.get(data["object"]["key"])):
        yield int(row[key] or 0), row[version] or "", at


def poll_naively(dsn: str, condition: str, ready: Event, stop: Event) -> Outcome:
    """Every row that meets a condition on `cursor`, the greatest last_updated seen; a row is passed on once."""
    outcome, seen = Outcome(), set()
    session = open_connection(dsn)
    cursor = "-infinity"

    def poll() -> None:
        nonlocal cursor
        rows = session.run(
            f"SELECT design_id, design_name, last_updated::text FROM design WHERE {condition.format(cursor=cursor)}"
        )
        at = time.monotonic()
        outcome.rows_read += len(rows)
        for key, version, moved in rows:
            cursor = moved if cursor == "-infinity" else max(cursor, moved)
            if (key, version) not in seen:
                seen.add((key, version))
                outcome.sent.append((key, version, at))

    _rounds(poll, outcome, ready, stop)
    session.close()
    return outcome


CURSOR = "last_updated > '{cursor}'"
FIXED_LOOK_BACK = f"last_updated > timestamp '{{cursor}}' - interval '{LOOK_BACK}'"


def _rounds(poll: Callable[[], None], outcome: Outcome, ready: Event, stop: Event) -> None:
    poll()
    ready.set()
    last = LAST_ROUNDS
    while last:
        last -= stop.is_set()
        started = time.monotonic()
        poll()
        outcome.polls += 1
        time.sleep(max(0.0, INTERVAL_SECONDS - (time.monotonic() - started)))
