-- The newest observation of each key of a fact; one without a star hash found the row deleted.
COPY (SELECT DISTINCT ON (key) key, generation, revision, coalesce(row_hash, 0), (star_hash IS NOT NULL)::int
        FROM {table}
       WHERE {wanted}
       ORDER BY key, generation DESC, revision DESC, contract DESC) TO STDOUT
