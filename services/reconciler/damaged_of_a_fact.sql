-- Every head must have its version, and its columns must still be those that its star hash was taken of.
SELECT s.key, s.generation, s.revision, s.contract
  FROM (SELECT key, generation, revision, contract, star_hash,
               lag(star_hash) OVER (PARTITION BY key ORDER BY generation, revision, contract) AS before
          FROM {seen}
         WHERE {wanted}) s
  LEFT JOIN {fact} f ON {row_place} = {place}
 WHERE s.star_hash IS NOT NULL AND s.star_hash IS DISTINCT FROM s.before
   AND CASE WHEN f._star_hash IS NULL THEN true ELSE {star_hash} <> s.star_hash END
