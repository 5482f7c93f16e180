-- The load batches made of these change batches, newest contract first, with their freshness.
SELECT id, change_batch, contract, loaded_at, extract(epoch FROM loaded_at - since)::float8
  FROM _load_batch
 WHERE change_batch = ANY (:batches::text[])
 ORDER BY contract DESC
