"""An object store and a queue in this process's memory, for what is measured without them.

Invariant: they keep the promises of the adapters they stand for: an object is written once, the checkpoint moves by
compare-and-set alone, a message is acknowledged when it is kept.
"""

from collections.abc import Iterator, Mapping, Sequence

from contracts.messages import ObjectRef
from shared.errors import CheckpointConflict, CorruptObject
from shared.objects import Found, Listed, ObjectStore
from shared.queues import Queue


class KeptObjects(ObjectStore):
    """Objects by their key; there is one bucket."""

    def __init__(self) -> None:
        """Begin empty."""
        self._bodies: dict[str, bytes] = {}
        self._metadata: dict[str, dict[str, str]] = {}
        self._moves = 0

    def put_once(self, ref: ObjectRef, body: bytes, metadata: Mapping[str, str] | None = None) -> None:
        """Keep an object. Raises CorruptObject where another one has its key."""
        if self._bodies.setdefault(ref.key, body) != body:
            raise CorruptObject(f"Expected no other object under {ref.key}, found one.")
        self._metadata[ref.key] = dict(metadata or {})

    def get(self, ref: ObjectRef) -> bytes:
        """An object that was kept."""
        return self._bodies[ref.key]

    def metadata(self, bucket: str, key: str) -> dict[str, str]:  # noqa: ARG002 - there is one bucket
        """What was kept beside it."""
        return self._metadata[key]

    def listed(self, bucket: str, prefix: str, after: str = "") -> Iterator[Listed]:  # noqa: ARG002 - the same
        """Keys in their order."""
        found = sorted(key for key in self._bodies if key.startswith(prefix) and key > after)
        return iter([Listed(key, len(self._bodies[key])) for key in found])

    def find(self, bucket: str, key: str) -> Found | None:  # noqa: ARG002 - the same
        """An object with its etag, or None."""
        return Found(self._bodies[key], str(self._moves), 0.0) if key in self._bodies else None

    def compare_and_set(self, bucket: str, key: str, body: bytes, etag: str | None) -> str:  # noqa: ARG002 - the same
        """Replace the one object that moves. Raises CheckpointConflict where its etag is another."""
        if etag != (str(self._moves) if key in self._bodies else None):
            raise CheckpointConflict(f"{key} was moved by another owner.")
        self._bodies[key], self._moves = body, self._moves + 1
        return str(self._moves)


class KeptMessages(Queue):
    """Messages in the order in which they were sent."""

    def __init__(self) -> None:
        """Begin empty."""
        self.bodies: list[str] = []

    def send(self, bodies: Sequence[str]) -> None:
        """Keep them."""
        self.bodies += bodies
