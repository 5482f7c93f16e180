-- The load batches that were committed last, newest first, each with its feed's time zone.
SELECT b.id, b.change_batch, b.feed, b.operation, b.origin, b.generation, b.revision, b.contract, b.since, b.as_of,
       b.loaded_at, b.rows, b.quarantined, COALESCE(f.time_zone, 'UTC')
  FROM (SELECT * FROM _load_batch
         WHERE rows > 0 OR quarantined > 0
         ORDER BY loaded_at DESC
         LIMIT :batches) b
  LEFT JOIN _feed f ON f.feed = b.feed
 ORDER BY b.loaded_at DESC
