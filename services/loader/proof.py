"""What is proven of each feed: how far all of it is loaded, by the pages in the books and what heartbeats say of them.

Invariant: a feed is said to be complete as of a clock only if every page captured before that look at the source is
loaded; a batch that is parked, or still on its way, holds the proof where it is. Pages and heartbeats in any order,
each as often as it likes, end in the same proof. A repair proves nothing: it bears the number of a page that the
poller has yet to fill; a number that two pollers filled counts once. Feeds without a star table are left out: nothing
of them is ever loaded.
"""

from collections.abc import Collection

from contracts.feeds import FEEDS
from contracts.messages import Heartbeat
from services.loader.warehouse import Warehouse
from shared.postgres import Connection


def record(warehouse: Warehouse, heartbeat: Heartbeat) -> None:
    """Write down a heartbeat and what it proves, in one transaction.

    Raises WarehouseUnavailable, ConfigurationError.
    """
    warehouse.transaction(None, lambda connection: _record(connection, heartbeat))


def take(connection: Connection, feeds: Collection[str]) -> None:
    """Hold the proofs of these feeds until the transaction ends. Whoever holds one of them is waited for."""
    if feeds:
        connection.run(_TAKE, feeds=sorted(feeds))


def prove(connection: Connection, feeds: Collection[str]) -> None:
    """Move on what is proven of these feeds, each taken before by a statement of its own (`take`, `TAKEN`)."""
    if feeds:
        connection.run(_PROVE, feeds=sorted(feeds))


def _record(connection: Connection, heartbeat: Heartbeat) -> None:
    said = heartbeat.data
    beats = {beat.feed: beat for beat in said.feeds if (feed := FEEDS.get(beat.feed)) is not None and feed.star}
    at = {"generation": said.generation, "revision": said.revision}
    connection.run(_KEEP_HEARTBEAT, id=heartbeat.id, as_of=said.as_of, **at)
    # Taken first: whoever loads a page of these feeds meanwhile is seen here, or sees this heartbeat.
    take(connection, beats)
    connection.run(
        _KEEP_BEATS,
        feeds=list(beats),
        pages=[beat.page for beat in beats.values()],
        clocks=[beat.as_of for beat in beats.values()],
        **at,
    )
    prove(connection, beats)


_KEEP_HEARTBEAT = """
-- The newest one only, whatever order they come in; the same one once more is no news.
INSERT INTO _heartbeat AS kept (one, id, generation, revision, as_of, loaded_at)
VALUES (true, :id, :generation, :revision, :as_of, clock_timestamp())
    ON CONFLICT (one) DO UPDATE SET
       (id, generation, revision, as_of, loaded_at) =
       (EXCLUDED.id, EXCLUDED.generation, EXCLUDED.revision, EXCLUDED.as_of, EXCLUDED.loaded_at)
 WHERE (kept.generation, kept.revision, kept.as_of) < (EXCLUDED.generation, EXCLUDED.revision, EXCLUDED.as_of)"""
_KEEP_BEATS = """
-- Of each feed and page the newest: an idle feed has one row, however long it idles.
INSERT INTO _heartbeat_feed AS kept (feed, page, generation, revision, as_of)
SELECT feed, page, :generation, :revision, as_of
  FROM unnest(CAST(:feeds AS text[]), CAST(:pages AS bigint[]), CAST(:clocks AS timestamptz[])) b (feed, page, as_of)
    ON CONFLICT (feed, page) DO UPDATE SET
       (generation, revision, as_of) = (EXCLUDED.generation, EXCLUDED.revision, EXCLUDED.as_of)
 WHERE (kept.generation, kept.revision, kept.as_of) < (EXCLUDED.generation, EXCLUDED.revision, EXCLUDED.as_of)"""
TAKEN = """
INSERT INTO _complete AS kept (feed, page)
SELECT feed, 0 FROM {feeds} ORDER BY feed
    ON CONFLICT (feed) DO UPDATE SET page = kept.page"""
"""Holds the proofs of `feeds`, distinct rows of a column `feed`, in one order for everybody."""
_TAKE = f"""
-- Hold the feeds' proofs until this transaction ends.{TAKEN.format(feeds="unnest(CAST(:feeds AS text[])) f (feed)")}"""
_PROVE = """
-- Step over pages that are loaded, to the first that is not; proven is the newest clock said of what lies before it.
WITH RECURSIVE run (feed, page) AS (
     SELECT feed, page FROM _complete WHERE feed = ANY(CAST(:feeds AS text[]))
     UNION ALL
     SELECT run.feed, run.page + 1
       FROM run
      WHERE EXISTS (SELECT FROM _load_batch b
                     WHERE b.feed = run.feed AND b.page = run.page AND b.origin IN ('backfill', 'poll', 'scan'))),
reached AS (SELECT feed, max(page) AS page FROM run GROUP BY feed)
UPDATE _complete c
   SET (page, as_of, proven_at) =
       (r.page, said.as_of, CASE WHEN said.as_of IS DISTINCT FROM c.as_of THEN clock_timestamp() ELSE c.proven_at END)
  FROM reached r
  LEFT JOIN LATERAL (SELECT h.as_of FROM _heartbeat_feed h WHERE h.feed = r.feed AND h.page <= r.page
                      ORDER BY h.page DESC LIMIT 1) said ON true
 WHERE c.feed = r.feed AND (c.page, c.as_of) IS DISTINCT FROM (r.page, said.as_of)"""
