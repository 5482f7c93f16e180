-- Numbers that star rows show, of facts beyond a serial, of dimensions written since a transaction; and the next horizon.
SELECT 'sales_order' AS feed, sales_record_id::bigint AS place, sales_order_id AS key, units_sold AS number
  FROM fact_sales_order WHERE sales_record_id > :sales_order
UNION ALL
SELECT 'payment', payment_record_id, payment_id, payment_amount::int FROM fact_payment WHERE payment_record_id > :payment
UNION ALL
SELECT 'design', 0, design_id, file_name::int FROM dim_design WHERE xmin::text::bigint >= :horizon AND _inferred_at IS NULL
UNION ALL
SELECT 'staff', 0, staff_id, email_address::int FROM dim_staff WHERE xmin::text::bigint >= :horizon AND _inferred_at IS NULL
UNION ALL
SELECT 'horizon', pg_snapshot_xmin(pg_current_snapshot())::text::bigint, 0, 0
