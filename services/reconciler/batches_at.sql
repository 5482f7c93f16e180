-- The change batches of a feed that brought rows at one position.
SELECT change_batch, as_of
  FROM _load_batch
 WHERE feed = :feed AND operation = 'changed' AND (generation, revision, contract) = (:generation, :revision, :contract)
