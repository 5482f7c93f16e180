-- One member of a dimension: the position of its content, of its deletion if it was deleted, and since when it is inferred.
SELECT _generation, _revision, _contract, _seen_at, _deleted_generation, _deleted_revision, _inferred_at
  FROM {table}
 WHERE {key} = :key
