-- Which of these keys of a fact lived at its last observation before a position.
SELECT k.key
  FROM unnest(:keys::int[]) k (key) CROSS JOIN LATERAL (
       SELECT s.star_hash FROM {seen} s
        WHERE s.key = k.key AND (s.generation, s.revision, s.contract) < (:generation, :revision, :contract)
        ORDER BY s.key DESC, s.generation DESC, s.revision DESC, s.contract DESC
        LIMIT 1) last
 WHERE last.star_hash IS NOT NULL
