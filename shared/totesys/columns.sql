-- Every column of the schema's tables: its type with domains followed to what they are made of, its name as declared, NULL, primary key.
WITH RECURSIVE resolved AS (
    SELECT c.oid AS relid, c.relname, a.attname, a.attnum, t.oid, t.typname, t.typtype, t.typbasetype, t.typname AS declared,
           NOT (a.attnotnull OR t.typnotnull) AS nullable
      FROM pg_attribute a
      JOIN pg_class c ON c.oid = a.attrelid
      JOIN pg_namespace n ON n.oid = c.relnamespace
      JOIN pg_type t ON t.oid = a.atttypid
     WHERE n.nspname = :schema AND a.attnum > 0 AND NOT a.attisdropped AND c.relkind IN ('r', 'p')
    UNION ALL
    SELECT r.relid, r.relname, r.attname, r.attnum, t.oid, t.typname, t.typtype, t.typbasetype, r.declared,
           r.nullable AND NOT t.typnotnull
      FROM resolved r JOIN pg_type t ON t.oid = r.typbasetype
     WHERE r.typtype = 'd')
SELECT relname::text, attname::text, CASE typtype WHEN 'e' THEN 'enum' ELSE typname::text END, declared::text, nullable,
       EXISTS (SELECT FROM pg_index i WHERE i.indrelid = relid AND i.indisprimary AND attnum = ANY (i.indkey))
  FROM resolved WHERE typtype <> 'd' ORDER BY relname, attnum
