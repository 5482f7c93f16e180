"""What the poller knows between two polls, kept as one object that only moves by compare-and-set.

Invariant: the checkpoint is never ahead of what is stored and sent. One object for all feeds, because ownership and
generation are one decision; every feed has a state of its own inside. Times are UTC.
"""

from collections.abc import Mapping
from datetime import datetime

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.objects import ObjectStore

KEY = "checkpoint.json"
LEAST_KEY = -(2**63)
"""Below every key: where a read begins."""


class State(BaseModel):
    """Base of the checkpoint's parts: immutable, and unknown fields of a newer writer are kept out."""

    # Transform and loader import it and read none: they build no validator of it.
    model_config = ConfigDict(frozen=True, extra="ignore", defer_build=True)


class SourceIdentity(State):
    """Which database this is; a restored or promoted one differs."""

    system_identifier: int
    database: int
    """Oid of the database."""
    timeline: int


class Horizon(State):
    """What one snapshot of a feed saw, so that the next read finds all that became visible since.

    `clock` is the source's clock just before the snapshot; `open` maps each transaction that was open then to the
    earliest moment at which it may have begun; `xmax` and `xip` are the snapshot's, widened to 64 bits. They tell
    what is new only within the generation they were taken in.
    """

    clock: AwareDatetime
    xmax: int
    xip: tuple[int, ...] = ()
    open: Mapping[str, AwareDatetime] = Field(default_factory=dict)
    generation: int = 0
    """0: written before horizons said so; no generation is equal to it."""


class Read(State):
    """A read of many pages that has not come to its end: where it goes on, and from where the next one starts."""

    base: Horizon | None
    """The horizon that this read's conditions come from; None reads the whole feed."""
    first: Horizon
    """The horizon of this read's first snapshot: the base of the next read."""
    after: int
    """The greatest key read."""


class FeedState(State):
    """All that is known of one feed."""

    polled: Horizon | None = None
    """Base of the next poll; None until the backfill has come to its end."""
    scanned: Horizon | None = None
    """Base of the next scan."""
    reading: Read | None = None
    """A backfill or a long poll under way."""
    relations: tuple[tuple[int, int], ...] = ()
    """Oid and relfilenode of each table and partition the feed reads; a change means rows were moved wholesale."""
    page: int = 0
    """Running number of the next archive object."""
    as_of: AwareDatetime | None = None
    """Source clock of the last snapshot with nothing missing before it."""
    generation: int = 0
    revision: int = 0
    rows_captured: int = 0
    stopped: str | None = None
    """Why the feed is not polled, in words for an operator."""
    paused: bool = False
    """Set by an operator: whoever polls leaves the feed alone, and goes on from its horizons afterwards."""


class Checkpoint(State):
    """The poller's whole memory that must survive it."""

    owner: str = ""
    """The execution environment that may publish."""
    resting: bool = False
    """The owner has ended its invocation in good order: anyone may take over without waiting for the lease."""
    paused: bool = False
    """Set by an operator: whoever polls stops."""
    draining: bool = False
    """Set by a stack that is about to stop, so that its queues drain: whoever polls stops, until the next start."""
    generation: int = 1
    identity: SourceIdentity | None = None
    stats_reset: datetime | None = None
    """When the source's statistics were reset: crash recovery does that, a clean restart does not."""
    revision: int = 0
    """The greatest revision seen in this generation."""
    wal: int = 0
    """The greatest WAL position (bytes) seen in this generation."""
    feeds: Mapping[str, FeedState] = Field(default_factory=dict)

    def feed(self, name: str) -> FeedState:
        """The state of a feed, empty where it was never met."""
        return self.feeds.get(name, FeedState())


class CheckpointStore:
    """Loads and moves the checkpoint; remembers the etag that the next move needs."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        """Take the object store and the control bucket."""
        self._objects = objects
        self._bucket = bucket
        self._etag: str | None = None

    def load(self) -> Checkpoint:
        """The checkpoint as it is now, an empty one where there is none."""
        return self.load_with_age()[0]

    def load_with_age(self) -> tuple[Checkpoint, float]:
        """The checkpoint and the seconds since it was last moved, by the store's own clock."""
        found = self._objects.find(self._bucket, KEY)
        self._etag = None if found is None else found.etag
        if found is None:
            return Checkpoint(), float("inf")
        return Checkpoint.model_validate_json(found.body), found.age_seconds

    def move(self, checkpoint: Checkpoint) -> None:
        """Replace what `load` or the last `move` left. Raises CheckpointConflict if another owner was faster."""
        body = checkpoint.model_dump_json().encode()
        self._etag = self._objects.compare_and_set(self._bucket, KEY, body, self._etag)
