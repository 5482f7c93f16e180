-- Those of the change batches that are loaded, with how many of their rows broke a contract.
SELECT change_batch, max(quarantined)::int
  FROM _load_batch
 WHERE change_batch = ANY(CAST(:batches AS text[]))
 GROUP BY change_batch
