-- Rows of the feed sales_order that are loaded, valid foreign keys of its fact, seconds since the first poll's clock.
SELECT COALESCE((SELECT rows_loaded FROM _feed WHERE feed = 'sales_order'), 0),
       (SELECT count(*) FROM pg_constraint
         WHERE contype = 'f' AND convalidated AND conrelid = 'fact_sales_order'::regclass),
       COALESCE((SELECT extract(epoch FROM clock_timestamp() - min(as_of)) FROM _load_batch), 0)::float8;
