-- Every version of one key of a fact, with its position and how long it held.
SELECT h.{record_id}, f._generation, f._revision, f._contract, h.valid_from, h.valid_to, h.ended_by
  FROM {history} h
  JOIN {fact} f ON f.{record_id} = h.{record_id}
 WHERE h.{key} = :key
 ORDER BY f._generation, f._revision, f._contract
