-- Every observation of one key of a fact; one without a star hash found the row deleted.
SELECT generation, revision, contract, star_hash IS NULL, seen_at
  FROM {seen}
 WHERE key = :key
 ORDER BY generation, revision, contract
