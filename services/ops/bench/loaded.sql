-- Rows of sales_order that were loaded, as the feed itself has it, and seconds since the first poll's clock.
SELECT COALESCE((SELECT rows_loaded FROM _feed WHERE feed = 'sales_order'), 0),
       COALESCE((SELECT extract(epoch FROM clock_timestamp() - min(as_of)) FROM _load_batch), 0)::float8
