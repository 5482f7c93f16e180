-- The newest observation of each key of a dimension: content or deletion. An inferred member (generation 0) is no row.
COPY (SELECT {key},
             CASE WHEN deleted THEN _deleted_generation ELSE _generation END,
             CASE WHEN deleted THEN _deleted_revision ELSE _revision END,
             coalesce(_row_hash, 0),
             (NOT deleted AND _generation > 0)::int
        FROM (SELECT *, coalesce((_deleted_generation, _deleted_revision) > (_generation, _revision), false) AS deleted
                FROM {table}
               WHERE {wanted}) d) TO STDOUT
