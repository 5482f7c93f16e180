"""Would it pass now: each parked message and quarantined row against today's code and contract, nothing sent.

Invariant: the verdict is that of the code the message would meet again, called on the object it names; only what needs
other messages (a rival at the same moment) is left out. Whatever lies there gets a verdict, none ends the check. One
object is in memory at a time. Checking again gives the same verdicts, unless code, archive or warehouse changed.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Self

from contracts.columnar import Failure, validate
from contracts.messages import ROW_HASH, is_heartbeat
from services.loader.handler import read_message as read_load_batch
from services.loader.load import fetch
from services.ops.dlq.entries import Lying
from services.ops.dlq.parked import Parked
from services.ops.dlq.places import Places
from services.ops.dlq.rehearsal import rehearse
from services.ops.quarantine import OpenRow
from services.transform.archive import decode
from services.transform.incoming import feed_of
from services.transform.incoming import read_message as read_change_batch
from services.transform.star import BUILDERS
from services.transform.transform import transform
from shared.archive import Publisher
from shared.consumer import Delivery
from shared.errors import ContractViolation, NewerThanCode, PipelineError
from shared.heartbeat import read_heartbeat
from shared.parking import RECEIVES_EXHAUSTED

UNAVAILABLE = "unavailable"
"""The cause where something needed for the verdict did not answer."""
NEWER = "newer_than_code"
"""The cause where only code that is not deployed yet knows the message's feed or version."""
MISTAKE = "mistake"
"""The cause where our own code failed as it never should."""


@dataclass(frozen=True)
class Result:
    """Whether it would pass. `cause` and `reason` say why not; of what passes, `reason` may say what to expect."""

    passes: bool
    cause: str = ""
    reason: str = ""


class Checker:
    """Checks one entry after the other against one installation."""

    def __init__(self, places: Places) -> None:
        """Take where things lie."""
        self._places = places
        self._builders = BUILDERS if places.builders is None else places.builders
        self._archive = Publisher(places.objects, places.archive_bucket, places.queues["changes"].queue)

    def __enter__(self) -> Self:
        """Nothing is opened before it is needed."""
        return self

    def __exit__(self, *_error: object) -> None:
        """End the session with the warehouse."""
        self._places.warehouse.close()

    def message(self, message: Parked) -> Result:
        """The verdict on a parked message."""
        try:
            note = self._change(message.body) if message.queue == "changes" else self._load(message)
        except Exception as exc:  # noqa: BLE001 - whatever lies in a dead-letter queue gets a verdict
            return _failed(exc)
        again = "Nothing is wrong with the message itself: it would be tried again."
        return Result(passes=True, reason=note or (again if message.cause == RECEIVES_EXHAUSTED else ""))

    def rows(self, rows: Sequence[OpenRow]) -> list[Result]:
        """The verdicts on quarantined rows that lie in one archive object, in their order."""
        try:
            failures = self._failures(rows)
        except Exception as exc:  # noqa: BLE001 - as above
            return [_failed(exc)] * len(rows)
        return [_verdict(failures.get(place)) for place in range(len(rows))]

    def _change(self, body: str) -> str:
        """Transform a message's batch and store nothing; a note on what to expect."""
        if is_heartbeat(body):
            read_heartbeat(body)
            return ""
        batch = read_change_batch(body)
        feed = feed_of(batch, self._places.feeds)
        outcome = transform(batch, feed, self._places.objects.get(batch.data.object), self._builders)
        failing = 0 if outcome.quarantine is None else outcome.quarantine.rows
        return f"{failing:,} of {batch.data.object.rows:,} rows would be quarantined." if failing else ""

    def _load(self, message: Parked) -> str:
        """Rehearse a message's load batch in the warehouse."""
        if is_heartbeat(message.body):
            read_heartbeat(message.body)
            return ""
        delivery = Delivery(message.message_id, message.receipt_handle, message.receives, message.body)
        received = read_load_batch(delivery, self._places.feeds)
        load = fetch(self._places.objects, received.batch, received.table)
        rehearse(self._places.warehouse, received.table, load)
        return ""

    def _failures(self, rows: Sequence[OpenRow]) -> dict[int, Failure]:
        """Place among `rows` -> why that row breaks today's contract. Raises PipelineError, IndexError."""
        batch = self._archive.batch(rows[0].row.object)
        feed, source = feed_of(batch, self._places.feeds), batch.data.object
        body = self._places.objects.get(source)
        columns = decode(body, batch.data.columns, source.rows, f"{source.bucket}/{source.key}")
        picked = {name: [values[row.row.row] for row in rows] for name, values in columns.items() if name != ROW_HASH}
        validated = validate(feed.row, feed.upcast(batch.data.position.contract, picked))
        if feed.star is not None:
            self._builders[feed.star.table](validated.columns)
        return {failure.row: failure for failure in validated.failures}


def checked(checker: Checker, entries: Iterable[Lying]) -> Iterator[tuple[Lying, Result]]:
    """Every entry with its verdict; the rows of one quarantine object, which follow each other, are read together."""
    for _, together in groupby(entries, key=lambda entry: entry.key if isinstance(entry, OpenRow) else entry.id):
        found = list(together)
        rows = [entry for entry in found if isinstance(entry, OpenRow)]
        yield from zip(rows, checker.rows(rows), strict=True)
        yield from ((entry, checker.message(entry)) for entry in found if isinstance(entry, Parked))


def _verdict(failure: Failure | None) -> Result:
    if failure is None:
        return Result(passes=True)
    return Result(passes=False, cause=failure.reason_class, reason=f"{failure.field or 'the row'}: {failure.reason}")


def _failed(error: Exception) -> Result:
    """A refusal has its cause; what is newer or did not answer may pass another time, but nobody knows."""
    if isinstance(error, ContractViolation):
        return Result(passes=False, cause=error.reason_class, reason=str(error))
    if isinstance(error, PipelineError):
        cause = NEWER if isinstance(error, NewerThanCode) else UNAVAILABLE
        return Result(passes=False, cause=cause, reason=str(error))
    return Result(passes=False, cause=MISTAKE, reason=f"Our own code failed on it: {error!r}.")
