-- Transactions open now: every login sees that there are, and since when, in which state and by whom only with pg_read_all_stats.
SELECT l.virtualtransaction || '@' || extract(epoch FROM pg_postmaster_start_time()),
       max(l.pid),
       extract(epoch FROM clock_timestamp() - min(a.xact_start))::float8,
       max(a.state),
       max(nullif(a.application_name, ''))
  FROM pg_locks l
  LEFT JOIN pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype IN ('virtualxid', 'transactionid')
   AND l.pid IS DISTINCT FROM pg_backend_pid()
   AND (l.pid IS NULL OR l.virtualtransaction NOT LIKE '%/0')
 GROUP BY 1
