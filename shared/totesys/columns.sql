-- Every column of the schema's tables with its type, domains followed to what they are made of.
WITH RECURSIVE resolved AS (
    SELECT c.relname, a.attname, a.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typname AS declared
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = :schema AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT r.relname, r.attname, r.attnum, t.oid, t.typname, t.typtype, t.typbasetype, r.declared
      FROM resolved r JOIN pg_type t ON t.oid = r.typbasetype
     WHERE r.typtype = 'd')
SELECT relname::text, attname::text, CASE typtype WHEN 'e' THEN 'enum' ELSE typname::text END, declared::text
  FROM resolved WHERE typtype <> 'd' ORDER BY relname, attnum
