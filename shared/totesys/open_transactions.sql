-- Who has a transaction open: every login sees the list; the exact start only with pg_read_all_stats and track_activities.
SELECT coalesce(json_agg(json_build_object('virtual', virtual, 'prepared', prepared, 'ids', ids, 'started', started)), '[]')
  -- A server that starts counts virtual ids anew, so each is named with the start of the server that gave it.
  FROM (SELECT l.virtualtransaction || '@' || extract(epoch FROM pg_postmaster_start_time()) AS virtual,
               l.pid IS NULL AS prepared,
               coalesce(array_agg(DISTINCT l.transactionid::text::bigint)
                        FILTER (WHERE l.transactionid IS NOT NULL AND l.granted AND l.mode = 'ExclusiveLock'), '{}') AS ids,
               min(a.xact_start) AS started
          FROM pg_locks l
          LEFT JOIN pg_stat_activity a ON a.pid = l.pid
         WHERE l.locktype IN ('virtualxid', 'transactionid')
           AND l.pid IS DISTINCT FROM pg_backend_pid()
           -- A transaction that has just ended keeps its lock for a moment, with its number cleared to 0.
           AND (l.pid IS NULL OR l.virtualtransaction NOT LIKE '%/0')
         GROUP BY 1, 2) open_now
