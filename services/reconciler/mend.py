"""Make and publish repairs: rows as a snapshot shows them, keys that are gone.

Invariant: a repair is published like any change batch, object first, at the position of the snapshot it was read from.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from contracts.feeds import Feed
from contracts.messages import ChangeBatch, Origin
from services.reconciler.plan import Decision
from shared.archive import Circumstances, Page, Pages, PageSize, Publisher, deletions
from shared.totesys.session import Seen, Source


@dataclass(frozen=True)
class View:
    """An open snapshot of a feed, its place in the order of snapshots, and the feed's next page number."""

    seen: Seen
    generation: int
    page: int

    @property
    def revision(self) -> int:
        """The snapshot's logical clock."""
        return self.seen.vitals.snapshot.revision


def rows_page(
    source: Source, feed: Feed, decisions: Sequence[Decision], compression_level: int
) -> tuple[Page | None, set[int]]:
    """One page of the rows that the open snapshot shows of these keys, and which keys it shows at all.

    A row that the warehouse holds already by now is left out.
    """
    by_key = {one.key: one for one in decisions}
    came: set[int] = set()

    def held(keys: Sequence[int], hashes: Sequence[int]) -> set[int]:
        came.update(keys)
        return {key for key, row_hash in zip(keys, hashes, strict=True) if _is_held(by_key[key], row_hash)}

    kept: list[Page] = []
    pages = Pages(
        feed,
        kept.append,
        held=held,
        size=PageSize(len(by_key), sys.maxsize),
        compression_level=compression_level,
    )
    source.copy_keys(feed, list(by_key), pages)
    return pages.rest(), came


def _is_held(decision: Decision, row_hash: int) -> bool:
    held = decision.held
    return held is not None and held.live and held.row_hash == row_hash


def deletions_page(gone: Sequence[int], compression_level: int) -> Page | None:
    """A page of keys that are gone, if there are any."""
    return deletions(gone, compression_level=compression_level) if gone else None


def publish(publisher: Publisher, feed: Feed, page: Page, view: View, time_zone: str) -> ChangeBatch:
    """Publish a page at a snapshot's position. The digest makes the batch's id unique beside the page."""
    at = Circumstances(
        origin=Origin.REPAIR,
        generation=view.generation,
        revision=view.revision,
        since=None,
        as_of=view.seen.clock,
        time_zone=time_zone,
    )
    return publisher.publish(feed, page, view.page, at)
