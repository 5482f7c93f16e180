"""The messages of the pipeline, as CloudEvents 1.0 in JSON: change batch, load batch, and the heartbeat.

A message never carries rows: it names an object by bucket, key, digest and counts (claim check). Its id follows
from what it describes, so a batch that is sent twice is the same batch, whatever message id the queue gives it.
Closed when written (an unknown field is our bug), open when read (a newer writer may add fields).
Every message names its version; one of a former version is brought up to today's when it is read, in
`CloudEvent.model_validate_json` and nowhere else. So code reads every version that was ever written.
Specification: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json, to_json

Json = str | bytes | bytearray
Document = Mapping[str, Any]
"""A message as parsed JSON."""
Step = Callable[[Document], Document]
"""Makes the next version's message of this one's. Pure."""
Count = Annotated[int, Field(ge=0)]

ROW_HASH = "_row_hash"
"""The column after the contract's own in a changed batch: the source's hash of the row, a bigint."""
ENVELOPE = "envelope"
"""The entry of an archive object's metadata that holds its change batch, so that the archive explains itself."""
QUARANTINE = "_quarantine"
"""The quarantine's folder in the processed bucket; no star table begins with an underscore."""
HEARTBEAT: Final = "totes.heartbeat.v1"
"""The type of a heartbeat, by which it is told from the batches it travels with."""
_VERSION = "[1-9][0-9]{0,8}"
"""As a pattern: 1, 2, 3 …"""


class Operation(StrEnum):
    """What the rows of a batch say: how the source row looks now, or that it is gone."""

    CHANGED = "changed"
    DELETED = "deleted"


class Origin(StrEnum):
    """Which reader found the rows; `replay`: an operator sent rows of the quarantine once more, after a mend."""

    BACKFILL = "backfill"
    POLL = "poll"
    SCAN = "scan"
    REPAIR = "repair"
    REPLAY = "replay"

    @property
    def captured(self) -> bool:
        """Whether the poller found the rows, so that their batch has the number of a page that is its own."""
        return self not in (Origin.REPAIR, Origin.REPLAY)


SENDERS = {Origin.REPAIR: "/totes/reconciler", Origin.REPLAY: "/totes/operator"}
"""Who sends a change batch, where it is not the poller."""


class Message(BaseModel):
    """Base of everything that crosses a queue: immutable, closed when written."""

    # No cold start builds what its function neither reads nor sends.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)

    @classmethod
    def model_validate_json(cls, json_data: Json, **options: Any) -> Self:
        """Read a message: open, so what a newer writer added is ignored. Raises ValidationError."""
        return super().model_validate_json(json_data, **{"extra": "ignore", **options})


class ObjectRef(Message):
    """Where the rows lie: object, sha256 (hex) of its bytes, size in bytes, number of rows."""

    bucket: str
    key: str
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    bytes: Count
    rows: Count


class Position(Message):
    """What decides who is newer: generation, then revision, then contract. Never a clock."""

    generation: Annotated[int, Field(ge=1)]
    revision: Count
    contract: Annotated[int, Field(ge=1)]


class BatchData(Message):
    """What change batch and load batch share: feed, snapshot, and the clocks around it."""

    feed: str
    operation: Operation
    origin: Origin
    position: Position
    page: Count
    """Running number of the feed's objects in the archive; with the digest it makes the id unique."""
    since: AwareDatetime | None
    """Source clock at the feed's last snapshot in which these rows were not yet visible; None for a backfill."""
    as_of: AwareDatetime
    """Source clock at the snapshot the rows were read from."""
    time_zone: str
    """IANA name of the zone in which the feed's timestamps without zone are meant."""
    object: ObjectRef


class ChangeBatchData(BatchData):
    """Rows (or keys of deleted rows) of one feed from one source snapshot, in the archive."""

    columns: tuple[str, ...]
    """The object's columns in their order; the row hash is the last one of a changed batch that was read with it."""


class LoadBatchData(BatchData):
    """The star rows made from one change batch, in the processed bucket."""

    change_batch: str
    """The id of the change batch."""
    star_table: str
    quarantined: Count
    """Rows of the change batch that broke their contract."""


class FeedBeat(Message):
    """What a heartbeat says of one feed: all that was visible at `as_of` lies in the feed's pages before `page`."""

    feed: str
    as_of: AwareDatetime
    """Source clock at the last snapshot with nothing missing before it."""
    page: Count
    """Number of the feed's next archive object: every smaller one is published."""


class HeartbeatData(Message):
    """How far the poller has come, in the order of source snapshots."""

    generation: Annotated[int, Field(ge=1)]
    revision: Count
    """The greatest revision seen."""
    as_of: AwareDatetime
    """Source clock at the last look."""
    feeds: tuple[FeedBeat, ...]
    """Each feed that was read whole once."""


def named(name: str, version: int) -> str:
    """What a message says as its `dataschema`."""
    return f"urn:totes:{name}:{version}"


def any_version_of(name: str) -> Any:
    """Holds a `dataschema` to that name; a version newer than this code's is read too, as far as that goes."""
    return Field(pattern=f"^urn:totes:{name}:{_VERSION}$")


class CloudEvent(Message):
    """The envelope's attributes that all messages share."""

    version: ClassVar[int] = 1
    """Of the message's contract."""
    former: ClassVar[Mapping[int, Step]] = {}
    """Every version before today's, with the step from it to the next."""

    specversion: Literal["1.0"] = "1.0"
    id: Annotated[str, Field(min_length=1)]
    source: str
    type: str
    subject: str
    """The feed; of a heartbeat, the pipeline."""
    time: AwareDatetime
    """The snapshot's source clock."""
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: str = named("message", version)
    """Name and version: today's, whatever was read. A message that says none is of version 1."""

    @classmethod
    def __pydantic_init_subclass__(cls, **_options: Any) -> None:
        """Raises ValueError where a version has no step, since its messages could never be read again."""
        if set(cls.former) != set(range(1, cls.version)):
            raise ValueError(f"{cls.__name__}: expected every version before {cls.version}, found {set(cls.former)}")
        if not cls._dataschema().endswith(f":{cls.version}"):
            raise ValueError(f"{cls.__name__}: expected a dataschema of version {cls.version}, not {cls._dataschema()}")

    @classmethod
    def model_validate_json(cls, json_data: Json, **options: Any) -> Self:
        """Read a message of any version: a former one is upcast, of a newer one is read what is known today.

        It is read as today's first, so that only what is of another version is parsed twice. Raises ValidationError.
        """
        try:
            found = super().model_validate_json(json_data, **options)
            stated = found._stated()
        except ValidationError:
            stated = cls.stated_version(json_data) or cls.version
            if stated >= cls.version:
                raise
        if stated < cls.version:
            return super().model_validate_json(to_json(cls._upcast(from_json(json_data), stated)), **options)
        return found if stated == cls.version else found.model_copy(update={"dataschema": cls._dataschema()})

    @classmethod
    def stated_version(cls, json_data: Json) -> int | None:
        """The version that a message says it is of, whatever else is wrong with it; None for what is none of these."""
        document, name = _document(json_data), cls._dataschema().removesuffix(str(cls.version))
        said = None if document is None else document.get("dataschema", f"{name}1")
        found = re.fullmatch(f"{name}({_VERSION})", said) if isinstance(said, str) else None
        return None if found is None else int(found[1])

    @classmethod
    def _upcast(cls, document: Document, version: int) -> Document:
        """A message of a former version as today's has it. Raises ValidationError where a step fails on it."""
        for each in range(version, cls.version):
            try:
                document = cls.former[each](document)
            except (AttributeError, LookupError, TypeError, ValueError) as exc:
                raise _not_upcast(cls.__name__, each, exc) from exc
        return {**document, "dataschema": cls._dataschema()}

    @classmethod
    def _dataschema(cls) -> str:
        return str(cls.model_fields["dataschema"].default)

    def _stated(self) -> int:
        """The version it was read under; before `dataschema` there was the first alone."""
        return int(self.dataschema.rpartition(":")[2]) if "dataschema" in self.model_fields_set else 1

    def body(self) -> str:
        """The message as it is sent: compact JSON."""
        return self.model_dump_json()


class ChangeBatch(CloudEvent):
    """Poller, reconciler or operator to transform: `totesys.<feed>.changed.v1` or `totesys.<feed>.deleted.v1`."""

    version: ClassVar[int] = 1
    dataschema: Annotated[str, any_version_of("change_batch")] = named("change_batch", version)
    data: ChangeBatchData

    @classmethod
    def of(cls, data: ChangeBatchData) -> Self:
        """Wrap what was archived; the same data always gives the same id."""
        return cls(
            id=batch_id(data),
            source=SENDERS.get(data.origin, "/totes/poller"),
            type=f"totesys.{data.feed}.{data.operation}.v{data.position.contract}",
            subject=data.feed,
            time=data.as_of,
            data=data,
        )

    @model_validator(mode="after")
    def _id_and_type_fit_the_data(self) -> Self:
        """An id that does not follow from the data would break de-duplication."""
        if self.id != batch_id(self.data) or self.subject != self.data.feed:
            raise ValueError(f"id {self.id!r} or subject {self.subject!r} does not fit the data")
        return self


class LoadBatch(CloudEvent):
    """Transform to loader: `totes.<star table>.built.v1`."""

    version: ClassVar[int] = 1
    dataschema: Annotated[str, any_version_of("load_batch")] = named("load_batch", version)
    data: LoadBatchData

    @classmethod
    def of(cls, data: LoadBatchData) -> Self:
        """Wrap what was built; one change batch under one contract always gives the same id."""
        return cls(
            id=load_batch_id(data),
            source="/totes/transform",
            type=f"totes.{data.star_table}.built.v{data.position.contract}",
            subject=data.feed,
            time=data.as_of,
            data=data,
        )


class Heartbeat(CloudEvent):
    """Poller to transform to loader, about once a minute: a pipeline without changes proves that it lives.

    It goes the way of the batches and says what was published before it, so that the loader can tell what is complete.
    """

    version: ClassVar[int] = 1
    dataschema: Annotated[str, any_version_of("heartbeat")] = named("heartbeat", version)
    type: Literal["totes.heartbeat.v1"] = HEARTBEAT
    data: HeartbeatData

    @classmethod
    def of(cls, data: HeartbeatData) -> Self:
        """Wrap what the checkpoint says; the same always gives the same id."""
        return cls(id=heartbeat_id(data), source="/totes/poller", subject="totes", time=data.as_of, data=data)

    @model_validator(mode="after")
    def _id_fits_the_data(self) -> Self:
        """A heartbeat that was changed on its way claims what its poller did not."""
        if self.id != heartbeat_id(self.data):
            raise ValueError(f"id {self.id!r} does not fit the data")
        return self


def _document(json_data: Json) -> Document | None:
    try:
        document = from_json(json_data)
    except ValueError:
        return None
    return document if isinstance(document, dict) else None


def _not_upcast(title: str, version: int, why: Exception) -> ValidationError:
    """Says that what claims a former version is not as that version was."""
    said = PydanticCustomError(
        "upcast", "no step leads on from its version {version}: {why}", {"version": version, "why": repr(why)}
    )
    return ValidationError.from_exception_data(title, [{"type": said, "input": None}])


def is_heartbeat(body: str) -> bool:
    """Whether a message's body says that it is a heartbeat; what it says beside that may still be wrong."""
    document = _document(body)
    return document is not None and document.get("type") == HEARTBEAT


def heartbeat_id(data: HeartbeatData) -> str:
    """Generation, revision and a digest of the rest as text: what a newer writer adds is no part of it."""
    said = [f"{beat.feed} {beat.as_of.astimezone(UTC).isoformat()} {beat.page}" for beat in data.feeds]
    text = "\n".join([data.as_of.astimezone(UTC).isoformat(), *said])
    return f"heartbeat/g{data.generation}.r{data.revision}/{sha256(text.encode()).hexdigest()[:16]}"


def change_batch_id(body: str) -> str | None:
    """The id of the change batch that a message is, or comes from; None for a body that is neither batch of ours."""
    for model in (ChangeBatch, LoadBatch):
        try:
            message = model.model_validate_json(body)
        except ValidationError:
            continue
        return message.id if isinstance(message, ChangeBatch) else message.data.change_batch
    return None


def batch_id(data: ChangeBatchData) -> str:
    """Feed, generation, revision, contract, page and digest: readable, and equal only for equal batches."""
    at = data.position
    return f"{data.feed}/g{at.generation}.r{at.revision}.v{at.contract}.p{data.page}/{data.object.sha256[:16]}"


def load_batch_id(data: LoadBatchData) -> str:
    """Star table and change batch; and the contract, where it is not the one the rows were archived under.

    What an upgrade transforms anew is another load batch, so that the warehouse does not take it for the former one.
    """
    name, contract = f"{data.star_table}/{data.change_batch}", data.position.contract
    archived_under = _CONTRACT.search(data.change_batch)
    return name if archived_under is None or int(archived_under[1]) == contract else f"{name}/v{contract}"


def archive_key(feed: str, *, as_of: datetime, position: Position, page: int, operation: Operation, sha256: str) -> str:
    """The archive object's key: date and time first, so that listings are in order; digest last, so that it is unique.

    `as_of` must be UTC. Feeds are folders of their own, so `payment/` never lists `payment_type/`.
    """
    return (
        f"{feed}/date={as_of:%Y-%m-%d}/{as_of:%H%M%S.%f}Z-p{page:010d}-g{position.generation}"
        f"-r{position.revision}-v{position.contract}-{operation}-{sha256[:16]}.tsv.gz"
    )


def stored_as(batch: str, as_of: datetime, operation: Operation) -> str:
    """The archive key of a change batch's object, from the batch's id and its snapshot's source clock."""
    feed, place, digest = batch.split("/")
    generation, revision, contract, page = (int(part[1:]) for part in place.split("."))
    position = Position(generation=generation, revision=revision, contract=contract)
    as_of = as_of.astimezone(UTC)
    return archive_key(feed, as_of=as_of, position=position, page=page, operation=operation, sha256=digest)


@dataclass(frozen=True)
class ArchiveKey:
    """What an archive object's key tells: its folder is the feed, its snapshot's source clock is `as_of` (UTC)."""

    feed: str
    as_of: datetime
    generation: int
    page: int
    batch: str
    """The id of the change batch whose rows the object holds."""

    @classmethod
    def parse(cls, key: str) -> "ArchiveKey | None":
        """Read what `archive_key` writes; None for any other key."""
        found = _ARCHIVE_KEY.fullmatch(key)
        if found is None:
            return None
        part = found.groupdict()
        return cls(
            feed=part["feed"],
            as_of=datetime.strptime(f"{part['date']} {part['time']}", "%Y-%m-%d %H%M%S.%f").replace(tzinfo=UTC),
            generation=int(part["generation"]),
            page=int(part["page"]),
            batch="{feed}/g{generation}.r{revision}.v{contract}.p{page}/{digest}".format_map(part),
        )


_CONTRACT = re.compile(r"[.]v([0-9]+)[.]p[0-9]+/")
"""Where a change batch's id says its contract."""
_ARCHIVE_KEY = re.compile(
    r"(?P<feed>[^/]+)/date=(?P<date>[0-9-]{10})/(?P<time>[0-9.]{13})Z-p0*(?P<page>[0-9]+)-g(?P<generation>[0-9]+)"
    r"-r(?P<revision>[0-9]+)-v(?P<contract>[0-9]+)-(?:changed|deleted)-(?P<digest>[0-9a-f]{16})[.]tsv[.]gz"
)
