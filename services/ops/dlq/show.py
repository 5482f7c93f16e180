"""One parked message or quarantined row, whole: what it says of itself, its first rows, where to look further.

Invariant: it only reads, secret fields of rows stay masked, and whatever the message is, something is shown of it.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict

from contracts.columnar import MASK, is_secret
from contracts.feeds import Feed
from contracts.messages import ROW_HASH, ArchiveKey, ChangeBatch, ObjectRef
from services.ops.dlq.entries import Lying, looking
from services.ops.dlq.filters import Filter
from services.ops.dlq.parked import Parked
from services.ops.dlq.places import Places
from services.ops.dlq.report import plain
from services.ops.moments import shown
from services.ops.quarantine import OpenRow
from services.transform.archive import decode
from services.transform.incoming import feed_of
from services.transform.incoming import read_message as read_change_batch
from shared.archive import Publisher
from shared.errors import ConfigurationError, PipelineError
from shared.parking import FIRST_FAILED_AT, RECEIVES_EXHAUSTED, REPLAY
from shared.telemetry import BATCH

CANDIDATES = 10
"""Named where a shortened id means several."""
FIRST_ROWS = 3
"""Of a change batch: enough to see what kind of rows they are."""
BODY_CHARACTERS = 4_000
"""Of a message on a terminal; the JSON has it whole."""


class Detail(BaseModel):
    """All there is to say. What a message has not, or a quarantined row has not, is None or empty."""

    model_config = ConfigDict(frozen=True)

    id: str
    queue: str
    cause: str
    reason: str
    feed: str | None
    contract: int | None
    batch: str | None
    """Id of the change batch."""
    parked_at: AwareDatetime | None = None
    """When it was sent here; of a message that SQS redrove itself, when it was first sent."""
    first_failed_at: AwareDatetime | None = None
    """None where nobody wrote it down."""
    snapshot_at: AwareDatetime | None = None
    """The source's clock when a quarantined row was read."""
    receives: int | None = None
    """By its work queue; of a message that SQS redrove itself, with the looks at it since."""
    replays: int
    replay: str | None = None
    """The replay that sent it last."""
    key: str | None = None
    field: str | None = None
    value: str | None = None
    """What broke the contract, masked where it is secret."""
    object: str | None = None
    """Link to the object that holds the rows."""
    row: int | None = None
    """The row's index in it, from 0."""
    quarantine_object: str | None = None
    rows_in_object: int | None = None
    rows: tuple[Mapping[str, str | None], ...] = ()
    """The row, or the first rows of a batch, secret fields masked."""
    rows_unread: str | None = None
    """Why no rows are shown."""
    log_query: str
    """For CloudWatch Logs Insights, over the log groups of all functions."""
    body: str | None = None


@dataclass(frozen=True)
class Sample:
    """Rows of one object, as far as they can be shown."""

    link: str | None = None
    total: int | None = None
    rows: tuple[Mapping[str, str | None], ...] = ()
    unread: str | None = None


def find(places: Places, shortened: str, **options: Any) -> Lying:
    """The one entry of that id, which may be shortened. Raises ConfigurationError where it means none or several."""
    found: dict[str, Lying] = {}
    with looking(places, Filter(ids=(shortened,)), **options) as entries:
        for entry in entries:
            found[entry.id] = entry
            if entry.id == shortened or len(found) > CANDIDATES:
                break
    exact = found.get(shortened)
    if exact is not None:
        return exact
    if len(found) != 1:
        raise ConfigurationError(_not_one(shortened, sorted(found)))
    return next(iter(found.values()))


class Shower:
    """Reads the objects that an entry names."""

    def __init__(self, places: Places) -> None:
        """Take where things lie."""
        self._places = places
        self._archive = Publisher(places.objects, places.archive_bucket, places.queues["changes"].queue)

    def detail(self, entry: Lying) -> Detail:
        """All there is to say of an entry."""
        return self._row(entry) if isinstance(entry, OpenRow) else self._message(entry)

    def _message(self, message: Parked) -> Detail:
        sample = self._sample(message)
        return Detail(
            id=message.id,
            queue=message.queue,
            cause=message.cause,
            reason=message.reason,
            feed=message.feed,
            contract=message.contract,
            batch=message.batch,
            parked_at=message.parked_at,
            first_failed_at=message.first_failed_at if FIRST_FAILED_AT in message.attributes else None,
            receives=message.receives,
            replays=message.replays,
            replay=message.attributes.get(REPLAY),
            object=sample.link,
            rows_in_object=sample.total,
            rows=sample.rows,
            rows_unread=sample.unread,
            log_query=log_query(message.batch, message.cause, message.message_id),
            body=message.body,
        )

    def _row(self, entry: OpenRow) -> Detail:
        row, archived = entry.row, ArchiveKey.parse(entry.row.object)
        batch = None if archived is None else archived.batch
        rows, unread = self._archived_rows(row.object, row.row)
        return Detail(
            id=entry.id,
            queue=entry.queue,
            cause=entry.cause,
            reason=row.reason,
            feed=row.feed,
            contract=row.contract,
            batch=batch,
            snapshot_at=entry.at,
            replays=entry.replays,
            key=row.key,
            field=row.field or None,
            value=row.value,
            object=f"s3://{self._places.archive_bucket}/{row.object}",
            row=row.row,
            quarantine_object=f"s3://{self._places.processed_bucket}/{entry.key}",
            rows=rows,
            rows_unread=unread,
            log_query=log_query(batch, entry.cause, ""),
        )

    def _sample(self, message: Parked) -> Sample:
        ref = object_of(message.body)
        link = None if ref is None else f"s3://{ref.bucket}/{ref.key}"
        total = None if ref is None else ref.rows
        if message.queue != "changes" or ref is None:
            return Sample(link, total)
        try:
            batch = read_change_batch(message.body)
            return Sample(link, total, self._rows_of(batch, range(min(FIRST_ROWS, ref.rows))))
        except Exception as exc:  # noqa: BLE001 - it may be any message, and the rest of it is shown all the same
            return Sample(link, total, unread=_in_words(exc))

    def _archived_rows(self, key: str, row: int) -> tuple[tuple[Mapping[str, str | None], ...], str | None]:
        try:
            return self._rows_of(self._archive.batch(key), [row]), None
        except Exception as exc:  # noqa: BLE001 - as above
            return (), _in_words(exc)

    def _rows_of(self, batch: ChangeBatch, indices: Sequence[int]) -> tuple[Mapping[str, str | None], ...]:
        """Rows of a change batch, secret fields masked. Raises PipelineError, IndexError."""
        feed, source = feed_of(batch, self._places.feeds), batch.data.object
        body = self._places.objects.get(source)
        columns = decode(body, batch.data.columns, source.rows, f"{source.bucket}/{source.key}")
        named = [(name, values) for name, values in columns.items() if name != ROW_HASH]
        return tuple({name: _masked(feed, name, values[index]) for name, values in named} for index in indices)


def object_of(body: str) -> ObjectRef | None:
    """The object that a message names, whatever else is wrong with it."""
    try:
        return _WithObject.model_validate_json(body).data.object
    except ValueError:
        return None


def log_query(batch: str | None, cause: str, message_id: str) -> str:
    """A query that finds what the functions said of a batch; of what is no batch, by what they know it by.

    A message that SQS redrove has kept its id; one that was parked got another, so only its cause is left.
    """
    if batch is not None:
        said = f"filter {BATCH} = {json.dumps(batch)}"
    elif cause == RECEIVES_EXHAUSTED:
        said = f"filter message_id = {json.dumps(message_id)}"
    else:
        said = f'filter message = "parked" and reason_class = {json.dumps(cause)}'
    return f"fields @timestamp, service, level, message, reason | {said} | sort @timestamp"


def lines(detail: Detail) -> Iterator[str]:
    """For a person: a fact a line, then the rows, then the message."""
    for name, value in _facts(detail):
        if value is not None:
            yield f"{name:<16}{plain(value)}"
    if detail.rows_unread:
        yield f"{'rows':<16}not shown: {plain(detail.rows_unread)}"
    for number, row in enumerate(detail.rows):
        yield ""
        yield f"row {detail.row if detail.row is not None else number}"
        yield from (f"  {name:<26}{'NULL' if value is None else plain(value)}" for name, value in row.items())
    if detail.body is not None:
        yield ""
        yield "message"
        yield from _body_lines(detail.body)


def _facts(detail: Detail) -> Iterator[tuple[str, str | None]]:
    yield "id", detail.id
    yield "queue", detail.queue
    yield "cause", detail.cause
    yield "reason", detail.reason
    yield "feed", detail.feed
    yield "contract", _text(detail.contract)
    yield "batch", detail.batch
    yield "key", detail.key
    yield "field", detail.field
    yield "value", detail.value
    redriven = detail.cause == RECEIVES_EXHAUSTED
    yield "first failed", _when(detail.first_failed_at)
    yield ("sent" if redriven else "parked"), _when(detail.parked_at)
    yield "snapshot", _when(detail.snapshot_at)
    yield "receives", _text(detail.receives, " by SQS's count, which every look raises" if redriven else "")
    yield "replays", _text(detail.replays)
    yield "last replay", detail.replay
    yield "object", detail.object
    yield "rows in it", _text(detail.rows_in_object)
    yield "row", _text(detail.row)
    yield "quarantined in", detail.quarantine_object
    yield "log query", detail.log_query


def _body_lines(body: str) -> Iterator[str]:
    """JSON laid out, anything else as it is; cut where it is long."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    yield from (f"  {plain(line)}" for line in text[:BODY_CHARACTERS].splitlines())
    if len(text) > BODY_CHARACTERS:
        yield f"  … and {len(text) - BODY_CHARACTERS:,} characters more (--json has them)"


def _masked(feed: Feed, name: str, value: str | None) -> str | None:
    """A former contract's column that today's does not know may have been a secret."""
    secret = name not in feed.columns or is_secret(feed.row, name)
    return MASK if secret and value is not None else value


def _not_one(shortened: str, found: Sequence[str]) -> str:
    if not found:
        return f"Expected the id of something parked or quarantined, as `totes dlq list` names it, found {shortened!r}."
    more = ", …" if len(found) > CANDIDATES else ""
    candidates = ", ".join(found[:CANDIDATES])
    return f"Expected an id that means one, found {shortened!r}, which may mean {candidates}{more}."


def _in_words(error: Exception) -> str:
    return str(error) if isinstance(error, PipelineError) else f"our own code failed on it: {type(error).__name__}."


def _text(number: int | None, remark: str = "") -> str | None:
    return None if number is None else f"{number:,}{remark}"


def _when(moment: datetime | None) -> str | None:
    return None if moment is None else shown(moment)


class _Data(BaseModel):
    object: ObjectRef


class _WithObject(BaseModel):
    data: _Data
