-- Seconds since the first commit of rows in the last so many seconds.
SELECT extract(epoch FROM statement_timestamp() - min(loaded_at))::float8
  FROM _load_batch
 WHERE rows > 0 AND loaded_at >= statement_timestamp() - make_interval(secs => :elapsed_seconds)
