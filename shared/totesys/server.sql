-- Which server this is, and whether the login may look into the schema (NULL: there is no such schema).
SELECT current_setting('server_version_num')::int,
       pg_is_in_recovery(),
       (SELECT has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = :schema)
