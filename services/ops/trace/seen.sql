-- Every observation of one key in a fact's bookkeeping; one without a star hash found the row deleted.
SELECT generation, revision, contract, star_hash IS NULL, seen_at
  FROM {seen}
 WHERE key = :key
 ORDER BY generation, revision, contract
