-- The foreign keys of totesys's tables, as ALTER TABLE would make them again.
SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid)
FROM pg_constraint
JOIN pg_class ON pg_class.oid = conrelid
WHERE contype = 'f' AND relname = ANY (CAST(:tables AS varchar[])) AND pg_table_is_visible(conrelid)
ORDER BY relname, conname;
