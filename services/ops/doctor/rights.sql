-- What a loader's login lacks in the star schema: its use, tables it may not read, fill and change, sequences it may not use.
SELECT has_schema_privilege(n.oid, 'USAGE'),
       coalesce((SELECT array_agg(c.relname::text ORDER BY c.relname)
                   FROM pg_class c
                  WHERE c.relnamespace = n.oid AND c.relkind IN ('r', 'p') AND c.relname <> '_alembic_version'
                    AND NOT (has_table_privilege(c.oid, 'SELECT') AND has_table_privilege(c.oid, 'INSERT')
                             AND has_table_privilege(c.oid, 'UPDATE'))), '{}'),
       coalesce((SELECT array_agg(c.relname::text ORDER BY c.relname)
                   FROM pg_class c
                  WHERE c.relnamespace = n.oid
                    -- CASE, since the conditions of an AND are tried in any order.
                    AND CASE WHEN c.relkind = 'S' THEN NOT has_sequence_privilege(c.oid, 'USAGE') ELSE false END), '{}'),
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = '_alembic_version'
                                        AND has_table_privilege(c.oid, 'SELECT')),
       EXISTS (SELECT FROM pg_class c WHERE c.relnamespace = n.oid AND c.relname = '_heartbeat'
                                        AND has_table_privilege(c.oid, 'SELECT'))
  FROM pg_namespace n
 WHERE n.nspname = :schema
