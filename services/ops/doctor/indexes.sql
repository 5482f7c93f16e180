-- The feeds' tables with an estimate of their rows, and whether a valid index begins with last_updated.
SELECT c.relname::text,
       -- A table that was never analyzed has no estimate: 100 bytes a row is less than any feed's row.
       CASE WHEN c.reltuples >= 0 THEN c.reltuples ELSE pg_relation_size(c.oid) / 100 END::bigint,
       EXISTS (SELECT FROM pg_index i
                WHERE i.indrelid = c.oid AND i.indisvalid AND i.indpred IS NULL AND i.indkey[0] = a.attnum)
  FROM pg_class c
  JOIN pg_namespace n ON n.oid = c.relnamespace
  JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'last_updated' AND NOT a.attisdropped
 WHERE n.nspname = :schema AND c.relname = ANY (:tables::text[])
 ORDER BY 2 DESC, 1
