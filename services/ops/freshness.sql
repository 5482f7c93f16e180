-- Freshness over the rows that polls and scans of this run brought in lately: p50 and p99 in milliseconds, and the number of rows.
-- All rows of a batch share one freshness; nearest rank, so both are values that occurred. What changed before the run
-- is left out: its age tells how long nothing ran.
WITH batch AS (
    SELECT (extract(epoch FROM loaded_at - since) * 1000)::float8 AS ms, rows
      FROM _load_batch
     WHERE origin IN ('poll', 'scan') AND rows > 0 AND since >= :running_since
       AND loaded_at >= statement_timestamp() - make_interval(secs => :window_seconds)),
ranked AS (
    SELECT ms, sum(rows) OVER (ORDER BY ms) AS upto, sum(rows) OVER () AS total
      FROM batch)
SELECT min(ms) FILTER (WHERE upto >= 0.50 * total), min(ms) FILTER (WHERE upto >= 0.99 * total), coalesce(max(total), 0)::bigint
  FROM ranked
