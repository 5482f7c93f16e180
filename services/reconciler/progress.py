"""What the reconciler knows between two runs: how far its pass over each feed has come, and what it has sent in vain.

Invariant: losing it, or a conflict over it, costs work and never a repair: a pass begins anew, and what was refused is
sent once more. One object in the control bucket, moved by compare-and-set.
"""

from collections.abc import Mapping

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from shared.checkpoint import LEAST_KEY
from shared.objects import ObjectStore

KEY = "reconciler.json"
REMEMBERED = 2_000
"""Repairs of one feed: more rows than these in quarantine are somebody's main concern already."""


class FeedProgress(BaseModel):
    """One feed's pass. A pass covers the feed from its least key to its greatest, in as many runs as it takes."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    after: int = LEAST_KEY
    """The greatest key that this pass has covered."""
    live: int = 0
    """Rows in the warehouse at the last whole pass."""
    live_so_far: int = 0
    """Rows in the warehouse that this pass has met."""
    deleted: int = 0
    """Deletions sent by this pass, and by those before it whose deletions were held back."""
    held_back: bool = False
    """Whether this pass has held deletions back."""
    sent: Mapping[int, str] = Field(default_factory=dict)
    """Key -> likeness of the repairs sent that have not been seen to arrive."""

    def covered(self, after: int, live: int, *, deleted: int, held_back: bool, complete: bool) -> "FeedProgress":
        """The progress after one more stretch, up to the key `after`; a complete pass makes place for the next."""
        moved = self.model_copy(
            update={
                "after": after,
                "live_so_far": self.live_so_far + live,
                "deleted": self.deleted + deleted,
                "held_back": self.held_back or held_back,
            }
        )
        return moved if not complete else moved._next_pass()

    def remember(self, sent: Mapping[int, str]) -> "FeedProgress":
        """The same with these repairs as all that is remembered, the latest if there are too many."""
        return self.model_copy(update={"sent": dict(list(sent.items())[-REMEMBERED:])})

    def _next_pass(self) -> "FeedProgress":
        """Deletions held back count on, or each pass would nibble at a table that was emptied by mistake."""
        kept = self.deleted if self.held_back else 0
        return FeedProgress(live=self.live_so_far, deleted=kept, sent=self.sent)


class LastRun(BaseModel):
    """What the last run that compared anything came to, over all its feeds; for whoever asks when that was."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    at: AwareDatetime
    """Source clock at its last look."""
    whole: bool
    """Every feed from its least key to its greatest; the scheduled one covers what its time allows."""
    feeds: int
    """How many were compared."""
    skipped: tuple[str, ...]
    drift: int
    """Rows that differed."""
    repaired: int
    """Rows and deletions sent."""
    held_back: int
    """Deletions too many to be sent unasked."""


class Progress(BaseModel):
    """Every feed's."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    feeds: Mapping[str, FeedProgress] = Field(default_factory=dict)
    last: LastRun | None = None
    """None: no run has compared anything yet."""

    def feed(self, name: str) -> FeedProgress:
        """A feed's progress, at its beginning where it was never met."""
        return self.feeds.get(name, FeedProgress())

    def having(self, name: str, progress: FeedProgress) -> "Progress":
        """The same with one feed's progress moved."""
        return self.model_copy(update={"feeds": {**self.feeds, name: progress}})


class ProgressStore:
    """Loads and moves the progress; remembers the etag that the next move needs."""

    def __init__(self, objects: ObjectStore, bucket: str) -> None:
        """Take the object store and the control bucket."""
        self._objects = objects
        self._bucket = bucket
        self._etag: str | None = None

    def load(self) -> Progress:
        """The progress as it is now, an empty one where there is none."""
        found = self._objects.find(self._bucket, KEY)
        self._etag = None if found is None else found.etag
        return Progress() if found is None else Progress.model_validate_json(found.body)

    def move(self, progress: Progress) -> None:
        """Replace what `load` found. Raises CheckpointConflict if another reconciler was faster."""
        body = progress.model_dump_json().encode()
        self._etag = self._objects.compare_and_set(self._bucket, KEY, body, self._etag)
