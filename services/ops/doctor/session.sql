-- What a login sees of its own session and of the server. numbackends is visible to every login, pg_stat_activity is not.
SELECT current_setting('server_version_num')::int,
       pg_is_in_recovery(),
       coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false),
       (SELECT coalesce(sum(numbackends), 0)::int FROM pg_stat_database),
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
       - coalesce(current_setting('reserved_connections', true)::int, 0),
       pg_has_role(current_user, 'pg_read_all_stats', 'USAGE'),
       current_setting('track_activities')::boolean
