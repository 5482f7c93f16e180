"""Who did what to the pipeline, when, why and with what outcome: two small objects an action, each written once.

Invariant: an action is written down before it does anything, so one that died shows as begun without an end; no record
is ever changed or deleted. A second run of an action is another action with records of its own.
"""

import getpass
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from uuid import uuid4

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from contracts.messages import ObjectRef
from shared.errors import CorruptObject, PipelineError
from shared.objects import ObjectStore, sha256

AUDIT = "_audit"
"""The records' folder in the processed bucket; no star table begins with an underscore."""
_ID_CHARACTERS = 12
"""Of a random id: two actions of one microsecond never share it."""


class Phase(StrEnum):
    """How far the action was when the record was written."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"


class AuditRecord(BaseModel):
    """One line of the audit: the beginning of an action, or its end."""

    model_config = ConfigDict(frozen=True)

    id: str
    """Of the action; its beginning and its end share it."""
    phase: Phase
    at: AwareDatetime
    begun_at: AwareDatetime
    who: str
    """user@host of whoever typed it."""
    action: str
    """The command: "dlq replay", "rebuild", "pause" …"""
    what: str
    """Filters and targets."""
    why: str | None
    """What the operator said with --why."""
    outcome: str
    """One sentence; empty at the beginning."""
    counts: Mapping[str, int]
    """What was sent, deleted, loaded …, each by its name."""


@dataclass
class Outcome:
    """What an action says of itself while it runs; written down when it ends."""

    id: str
    """Of the action, to be named wherever it leaves a trace."""
    text: str = "done"
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Action:
    """One action as its records tell it; `ended_at` is None for one that runs still, or died."""

    last: AuditRecord

    @property
    def ended_at(self) -> datetime | None:
        """When it ended, if it did."""
        return None if self.last.phase is Phase.BEGUN else self.last.at

    @property
    def outcome(self) -> str:
        """How it ended, in one sentence."""
        return self.last.outcome if self.ended_at else "begun, and no end was written down: it runs still, or died"


class AuditTrail:
    """The records in the processed bucket."""

    def __init__(
        self,
        objects: ObjectStore,
        bucket: str,
        *,
        who: str,
        now: Callable[[], datetime],
        new_id: Callable[[], str] = lambda: uuid4().hex[:_ID_CHARACTERS],
    ) -> None:
        """Take the object store, the processed bucket, who acts, a clock and what makes an id."""
        self._objects = objects
        self._bucket = bucket
        self._who = who
        self._now = now
        self._new_id = new_id

    def begin(self, *, action: str, what: str, why: str | None) -> AuditRecord:
        """Write down that an action begins. Raises ObjectStoreUnavailable: then it must not begin."""
        now = self._now().astimezone(UTC)
        record = AuditRecord(
            id=self._new_id(),
            phase=Phase.BEGUN,
            at=now,
            begun_at=now,
            who=self._who,
            action=action,
            what=what,
            why=why,
            outcome="",
            counts={},
        )
        self._write(record)
        return record

    def end(self, begun: AuditRecord, phase: Phase, outcome: Outcome) -> None:
        """Write down how an action ended. Raises ObjectStoreUnavailable: then it shows as begun without an end."""
        said = {"outcome": outcome.text, "counts": dict(outcome.counts)}
        self._write(begun.model_copy(update={"phase": phase, "at": self._now().astimezone(UTC), **said}))

    def records(self, since: datetime | None = None, until: datetime | None = None) -> Iterator[AuditRecord]:
        """The records of a time in their order, the oldest first. Raises CorruptObject, ObjectStoreUnavailable."""
        after = "" if since is None else _prefix(since)
        for key in self._objects.keys(self._bucket, f"{AUDIT}/", after):
            if until is not None and key > _prefix(until):
                return
            found = self._objects.find(self._bucket, key)
            if found is not None:
                yield _parsed(key, found.body)

    def actions(self, since: datetime | None = None, until: datetime | None = None) -> list[Action]:
        """The actions of which a record was written in that time, in the order of their beginning."""
        last = {record.id: record for record in self.records(since, until)}
        return [Action(record) for record in sorted(last.values(), key=lambda record: (record.begun_at, record.id))]

    def _write(self, record: AuditRecord) -> None:
        body = record.model_dump_json().encode()
        key = f"{_prefix(record.at)}Z-{record.id}-{record.phase}.json"
        ref = ObjectRef(bucket=self._bucket, key=key, sha256=sha256(body), bytes=len(body), rows=1)
        self._objects.put_once(ref, body)


@contextmanager
def audited(trail: AuditTrail, *, action: str, what: str, why: str | None = None) -> Iterator[Outcome]:
    """Write down the beginning, do the action, write down the end with what it put into the outcome.

    An error is written down as its sentence where it is one of ours, else as its kind alone, and goes on its way.
    """
    begun = trail.begin(action=action, what=what, why=why)
    outcome = Outcome(begun.id)
    try:
        yield outcome
    except BaseException as exc:
        outcome.text = _in_words(exc)
        trail.end(begun, Phase.FAILED, outcome)
        raise
    trail.end(begun, Phase.DONE, outcome)


def operator() -> str:
    """Who types, as user@host."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


def _in_words(error: BaseException) -> str:
    if isinstance(error, PipelineError):
        return f"failed: {error}"
    return "broken off" if isinstance(error, KeyboardInterrupt) else f"failed: {type(error).__name__}"


def _prefix(at: datetime) -> str:
    """Date and time first, so that a listing is in order."""
    return f"{AUDIT}/date={at.astimezone(UTC):%Y-%m-%d/%H%M%S.%f}"


def _parsed(key: str, body: bytes) -> AuditRecord:
    try:
        return AuditRecord.model_validate_json(body)
    except ValidationError as exc:
        raise CorruptObject(f"Expected an audit record in {key}, found {exc.error_count()} faults.") from exc
