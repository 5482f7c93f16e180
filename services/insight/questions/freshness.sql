-- Question: How far behind the source is the warehouse?
-- Read: One row a feed, the furthest behind first. All that was in the source at `complete_as_of` is loaded, so every
--   other answer is right up to then; `seconds_behind` is how long before the moment asked for that was. `typical_ms`
--   is the delay of an ordinary change from the source to the warehouse's commit, `slow_ms` that of the slowest one in
--   a hundred, over its last `samples` polls and scans that brought something.
-- Counted: Rows as the loader counts them: a row that was sent twice counts twice.
-- Not counted: Rows in quarantine are not loaded until they are replayed. Feeds that are archived only.
-- Parameter at (moment; now): The moment from which it is reckoned; what is loaded is shown as it is now.
SELECT feed, complete_as_of,
       round(CAST(extract(epoch FROM CAST(:at AS timestamptz) - complete_as_of) AS numeric), 1) AS seconds_behind,
       last_loaded, rows_loaded, quarantined, round(CAST(p50_ms AS numeric)) AS typical_ms,
       round(CAST(p99_ms AS numeric)) AS slow_ms, samples
  FROM freshness
 ORDER BY complete_as_of NULLS FIRST, feed
