-- A version's columns must still be those that its star hash was taken of; and where anything lies in bookkeeping, every
-- head must have its version. What does not lie there is a version, each with a star hash of its own.
SELECT f.{key}, {position}
  FROM {fact} f
 WHERE {wanted_rows} AND {star_hash} <> f._star_hash
 UNION
SELECT s.key, s.generation, s.revision, s.contract
  FROM (SELECT key, generation, revision, contract, star_hash,
               lag(star_hash) OVER (PARTITION BY key ORDER BY generation, revision, contract) AS before
          FROM {seen}
         WHERE key IN (SELECT key FROM {unversioned} WHERE {wanted})) s
  LEFT JOIN {fact} f ON {row_place} = {place}
 WHERE s.star_hash IS NOT NULL AND s.star_hash IS DISTINCT FROM s.before
   AND s.star_hash IS DISTINCT FROM f._star_hash
