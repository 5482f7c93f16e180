-- What a login may make in the warehouse: version, in recovery, and CREATE on the schema (NULL: there is none yet) and on the database.
SELECT current_setting('server_version_num')::int, pg_is_in_recovery(),
       (SELECT has_schema_privilege(oid, 'CREATE') AND has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = :schema),
       has_database_privilege(current_database(), 'CREATE')
