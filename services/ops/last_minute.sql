-- Freshness of the rows that polls and scans of this run brought in the last so many seconds: p50, p99 and rows of each
-- second (counted back from now), of each feed (no second), and of all (neither). Percentiles as in freshness.sql.
WITH batch AS (
    SELECT feed, (extract(epoch FROM loaded_at - since) * 1000)::float8 AS ms, rows,
           (floor(extract(epoch FROM statement_timestamp())) - floor(extract(epoch FROM loaded_at)))::int AS ago
      FROM _load_batch
     WHERE origin IN ('poll', 'scan') AND rows > 0 AND since >= :running_since
       AND loaded_at > statement_timestamp() - make_interval(secs => :window_seconds)),
ranked AS (
    SELECT g.feed, g.ago, ms, sum(rows) OVER (PARTITION BY g.feed, g.ago ORDER BY ms) AS upto,
           sum(rows) OVER (PARTITION BY g.feed, g.ago) AS total
      FROM batch CROSS JOIN LATERAL (VALUES (NULL, batch.ago), (batch.feed, NULL), (NULL, NULL)) g (feed, ago))
SELECT feed, ago, min(ms) FILTER (WHERE upto >= 0.50 * total), min(ms) FILTER (WHERE upto >= 0.99 * total),
       max(total)::bigint
  FROM ranked
 GROUP BY feed, ago
