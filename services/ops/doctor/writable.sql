-- Tables of the schema that the login may change, and whether it is a superuser or may create there.
SELECT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user),
       coalesce((SELECT has_schema_privilege(oid, 'CREATE') FROM pg_namespace WHERE nspname = :schema), false),
       coalesce((SELECT array_agg(c.relname::text ORDER BY c.relname)
                   FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                  WHERE n.nspname = :schema AND c.relkind IN ('r', 'p')
                    AND has_table_privilege(c.oid, 'INSERT, UPDATE, DELETE, TRUNCATE')), '{}')
