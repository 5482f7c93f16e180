-- Seconds since the newest heartbeat was loaded, by the warehouse's own clock; no row where none has come yet.
SELECT extract(epoch FROM clock_timestamp() - max(loaded_at))::float8
  FROM {schema}._heartbeat
