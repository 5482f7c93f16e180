-- Where the rows of these tables lie, partitions included (oid and relfilenode), and an estimate of how many there are.
WITH RECURSIVE held AS (
    SELECT named.name, named.name::regclass::oid AS oid FROM unnest(CAST(:tables AS text[])) AS named (name)
    UNION
    SELECT held.name, i.inhrelid FROM pg_inherits i JOIN held ON i.inhparent = held.oid)
SELECT held.name, json_agg(json_build_array(c.oid::bigint, c.relfilenode::bigint)),
       -- A table that was never analyzed has no estimate: 100 bytes a row is less than any feed's row.
       sum(CASE WHEN c.relkind = 'p' THEN 0 WHEN c.reltuples >= 0 THEN c.reltuples
                ELSE pg_relation_size(c.oid) / 100 END)::bigint
  FROM pg_class c JOIN held USING (oid)
 GROUP BY held.name
