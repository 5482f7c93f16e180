-- The newest heartbeat that reached the warehouse, with its age by the warehouse's own clock.
SELECT as_of, CAST(extract(epoch FROM clock_timestamp() - loaded_at) AS double precision)
  FROM _heartbeat
