-- Question: Do agreed delivery dates hold, and by how much are they moved?
-- Read: One row a month in which orders were made, for sales and purchases apart. `kept` orders have the date that was
--   first agreed, the others were `put_off` or `brought_forward`, by `average_days_moved` (later is positive);
--   `still_to_come` are those whose date has not passed.
-- Counted: Orders as they are now, each against the first delivery date that the warehouse saw of it.
-- Not counted: Orders that were deleted. The source does not record when goods arrived, so this is about what was
--   agreed; a date that was moved and moved back is kept.
-- Parameter orders (all|sales|purchases; all): Which orders.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter on (date; today): The day from which on a delivery is still to come.
WITH version AS (
    SELECT 'sales' AS orders, sales_order_id AS order_id, created_date, agreed_delivery_date, valid_from, valid_to,
           ended_by
      FROM history_sales_order
    UNION ALL
    SELECT 'purchases', purchase_order_id, created_date, agreed_delivery_date, valid_from, valid_to, ended_by
      FROM history_purchase_order
),
alive AS (
    -- What was agreed before an order was deleted and made again is another agreement.
    SELECT v.*, count(*) FILTER (WHERE ended_by = 'deleted') OVER newest_first AS deletions_since
      FROM version v
     WHERE :orders IN ('all', v.orders)
    WINDOW newest_first AS (PARTITION BY orders, order_id ORDER BY valid_from DESC, valid_to DESC NULLS FIRST)
),
agreement AS (
    SELECT orders, order_id,
           (array_agg(created_date ORDER BY valid_from DESC, valid_to DESC NULLS FIRST))[1] AS made,
           (array_agg(agreed_delivery_date ORDER BY valid_from, valid_to NULLS LAST))[1] AS first_agreed,
           (array_agg(agreed_delivery_date ORDER BY valid_from DESC, valid_to DESC NULLS FIRST))[1] AS now_agreed
      FROM alive
     WHERE deletions_since = 0
     GROUP BY orders, order_id
)
SELECT CAST(date_trunc('month', made) AS date) AS month, orders, count(*) AS number,
       count(*) FILTER (WHERE now_agreed = first_agreed) AS kept,
       count(*) FILTER (WHERE now_agreed > first_agreed) AS put_off,
       count(*) FILTER (WHERE now_agreed < first_agreed) AS brought_forward,
       round(100.0 * count(*) FILTER (WHERE now_agreed = first_agreed) / count(*), 1) AS kept_percent,
       round(avg(now_agreed - first_agreed) FILTER (WHERE now_agreed <> first_agreed), 1) AS average_days_moved,
       round(avg(now_agreed - made), 1) AS average_days_to_delivery,
       count(*) FILTER (WHERE now_agreed >= CAST(:on AS date)) AS still_to_come
  FROM agreement
 WHERE made BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
 GROUP BY 1, orders
 ORDER BY month, orders
