-- Every column of the schema's tables and views in its order: type, NULL, whether it fills itself, primary key, tables it refers to.
SELECT c.relname::text, c.relkind IN ('r', 'p'), a.attname::text, format_type(a.atttypid, a.atttypmod), NOT a.attnotnull,
       a.atthasdef OR a.attidentity <> '',
       EXISTS (SELECT FROM pg_constraint p WHERE p.conrelid = c.oid AND p.contype = 'p' AND a.attnum = ANY (p.conkey)),
       ARRAY(SELECT t.relname::text
               FROM pg_constraint f
               JOIN pg_class t ON t.oid = f.confrelid
              WHERE f.conrelid = c.oid AND f.contype = 'f' AND f.conkey = ARRAY[a.attnum]
              ORDER BY t.relname)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
 WHERE n.nspname = :schema AND c.relkind IN ('r', 'p', 'v', 'm')
 ORDER BY c.relname, a.attnum
