-- The tables and views of the schema, partitions left out, with what the login may do.
SELECT c.relname::text, c.relkind IN ('r', 'p'), has_table_privilege(c.oid, 'SELECT')
  FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
 WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
