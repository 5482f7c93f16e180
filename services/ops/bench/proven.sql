-- Whether there are so many versions of sales orders and so many valid foreign keys of their fact.
SELECT (SELECT count(*) FROM fact_sales_order) >= CAST(:wanted AS bigint)
   AND (SELECT count(*) FROM pg_constraint
         WHERE contype = 'f' AND convalidated AND conrelid = 'fact_sales_order'::regclass) = CAST(:keys AS int)
