-- Versions of sales orders, valid foreign keys of their fact, seconds since the first poll's clock. The versions are
-- counted only where the feed's own number, which is cheap but counts a page that was read twice, says that they suffice.
SELECT CASE WHEN feed.rows_loaded < CAST(:wanted AS bigint) THEN feed.rows_loaded
            ELSE (SELECT count(*) FROM fact_sales_order) END,
       (SELECT count(*) FROM pg_constraint
         WHERE contype = 'f' AND convalidated AND conrelid = 'fact_sales_order'::regclass),
       COALESCE((SELECT extract(epoch FROM clock_timestamp() - min(as_of)) FROM _load_batch), 0)::float8
  FROM (SELECT COALESCE(max(rows_loaded), 0) AS rows_loaded FROM _feed WHERE feed = 'sales_order') feed
