-- The newest observation of each key of a dimension: content or deletion. An inferred member (generation 0) is no row.
SELECT {key} AS key,
       CASE WHEN deleted THEN _deleted_generation ELSE _generation END AS generation,
       CASE WHEN deleted THEN _deleted_revision ELSE _revision END AS revision,
       coalesce(_row_hash, 0) AS row_hash,
       NOT deleted AND _generation > 0 AS live
  FROM (SELECT *, coalesce((_deleted_generation, _deleted_revision) > (_generation, _revision), false) AS deleted
          FROM {table}
         WHERE {wanted}) d
