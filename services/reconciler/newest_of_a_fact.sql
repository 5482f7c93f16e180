-- The newest observation of each key of a fact; one without a star hash found the row deleted. Read backwards, as its index is.
SELECT DISTINCT ON (key) key, generation, revision, coalesce(row_hash, 0) AS row_hash, star_hash IS NOT NULL AS live
  FROM {table}
 WHERE {wanted}
 ORDER BY key DESC, generation DESC, revision DESC, contract DESC
