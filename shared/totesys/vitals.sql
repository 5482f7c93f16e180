-- What tells one source, one timeline and one crash from another, and how far the source has come.
SELECT pg_is_in_recovery(),
       (SELECT system_identifier FROM pg_control_system()),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       CASE WHEN pg_is_in_recovery() THEN NULL ELSE substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8) END,
       CASE WHEN pg_is_in_recovery() THEN NULL ELSE (pg_current_wal_insert_lsn() - '0/0'::pg_lsn)::bigint END,
       (SELECT stats_reset FROM pg_stat_bgwriter),
       pg_current_snapshot()::text
