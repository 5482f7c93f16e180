"""Give up what failed: parked messages are archived and then deleted, quarantined rows are marked as purged.

Invariant: nothing is deleted before it is stored, with its attributes, in an object that is never changed; quarantine
objects are never deleted at all. A purge that dies in between has archived some messages that are still parked: running
it again archives them once more, and goes on.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice

from pydantic import AwareDatetime, BaseModel, ConfigDict

from contracts.messages import ObjectRef
from services.ops.dlq.browse import Browse
from services.ops.dlq.filters import Filter
from services.ops.dlq.parked import Parked
from services.ops.dlq.send_again import store_marker
from services.ops.quarantine import PLACE, PURGED, OpenObject, OpenQuarantine, ReplayedRows
from shared.objects import ObjectStore, sha256

TOGETHER = 100
"""Messages in one object: few objects, and no more in memory than a queue lets through at once."""


class PurgedMessage(BaseModel):
    """One line of a purge's object: a message as it was parked."""

    model_config = ConfigDict(frozen=True)

    queue: str
    id: str
    message_id: str
    parked_at: AwareDatetime
    attributes: Mapping[str, str]
    body: str


@dataclass
class Purged:
    """How much was given up."""

    messages: int = 0
    rows: int = 0

    def counts(self) -> dict[str, int]:
        """The numbers, each by its name."""
        return {"messages": self.messages, "rows": self.rows}


@dataclass(frozen=True)
class Store:
    """Where a purge writes, under which id, and when it began (UTC)."""

    objects: ObjectStore
    bucket: str
    id: str
    began: datetime

    def keep(self, place: str, lines: Sequence[BaseModel]) -> str:
        """Store the lines; the object's key."""
        body = "".join(f"{line.model_dump_json()}\n" for line in lines).encode()
        began, digest = self.began.astimezone(UTC), sha256(body)
        key = f"{PURGED}/date={began:%Y-%m-%d}/{began:%H%M%S.%f}Z-{self.id}-{place}-{digest[:16]}.jsonl"
        self.objects.put_once(
            ObjectRef(bucket=self.bucket, key=key, sha256=digest, bytes=len(body), rows=len(lines)), body
        )
        return key


Looks = Iterable[Callable[[], Browse]]
"""Each opens a look at one dead-letter queue."""


def count(looks: Looks, quarantine: Iterable[OpenObject], wanted: Filter) -> Purged:
    """What would be given up."""
    found = Purged()
    for open_look in looks:
        with open_look() as look:
            found.messages += sum(wanted.matches(message) for message in look)
    found.rows = sum(len(each.rows) for each in meant(quarantine, wanted))
    return found


def purge(looks: Looks, wanted: Filter, store: Store, progress: Callable[[Purged], None]) -> Purged:
    """Give up everything that is wanted. Raises Unavailable: what was not archived and deleted is where it was."""
    done = Purged()
    for open_look in looks:
        with open_look() as look:
            messages = (message for message in look if wanted.matches(message))
            while together := list(islice(messages, TOGETHER)):
                store.keep(together[0].queue, [_line(message) for message in together])
                look.delete_all(together)
                done.messages += len(together)
                progress(done)
    if wanted.looks_at(PLACE):
        for found in meant(OpenQuarantine(store.objects, store.bucket).objects(), wanted):
            _give_up(found, store)
            done.rows += len(found.rows)
            progress(done)
    return done


def meant(quarantine: Iterable[OpenObject], wanted: Filter) -> Iterator[OpenObject]:
    """The objects with rows that are wanted, and these rows alone."""
    for found in quarantine:
        rows = tuple(row for row in found.rows if wanted.matches(row))
        if rows:
            yield replace(found, rows=rows)


def _line(message: Parked) -> PurgedMessage:
    return PurgedMessage(
        queue=message.queue,
        id=message.id,
        message_id=message.message_id,
        parked_at=message.parked_at,
        attributes=message.attributes,
        body=message.body,
    )


def _give_up(found: OpenObject, store: Store) -> None:
    """Write down which rows, and mark them; the quarantine object and the archive keep them whole."""
    key = store.keep(PLACE, [row.row for row in found.rows])
    rows = tuple(row.row.row for row in found.rows)
    marker = ReplayedRows(quarantine=found.key, rows=rows, batch=PURGED, archive=key, replays=found.replays)
    store_marker(store.objects, store.bucket, marker)
