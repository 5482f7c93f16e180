-- Question: Which orders were changed after they were made: what, from what to what, whose, and how late?
-- Read: One row a column that differs from the version before, the latest change first; an id is shown with its present
--   name. `staff` is whose order it was after the change: the source does not record who typed it. `changed_at` is when
--   the pipeline first saw the change, at most one poll or scan after it was made.
-- Counted: Every change that a snapshot saw, also of orders that are deleted by now; a deletion, and an order that
--   comes back after one, are rows of their own.
-- Not counted: A version in which `last_updated` alone moved; changes before the order was first read; all but the last
--   of several within one poll.
-- Parameter orders (all|sales|purchases; all): Which orders.
-- Parameter from (date; none): The first day (UTC) on which a change was seen.
-- Parameter to (date; none): The last such day, itself counted.
WITH version AS (
    SELECT 'sales' AS orders, sales_order_id AS order_id, sales_staff_id AS staff_id, valid_from, valid_to, ended_by,
           to_jsonb(h) - 'sales_record_id' AS row
      FROM history_sales_order h
    UNION ALL
    SELECT 'purchases', purchase_order_id, staff_id, valid_from, valid_to, ended_by,
           to_jsonb(h) - 'purchase_record_id'
      FROM history_purchase_order h
),
step AS (
    SELECT orders, order_id, staff_id, valid_from, valid_to, ended_by,
           row - ARRAY['last_updated_date', 'last_updated_time', 'valid_from', 'valid_to', 'ended_by'] AS content,
           lag(row) OVER life AS row_before, lag(ended_by) OVER life AS before_ended_by,
           -- The first version holds from the order's creation on, in the source's own time zone.
           first_value(valid_from) OVER life AS made_at
      FROM version
     WHERE :orders IN ('all', orders)
    WINDOW life AS (PARTITION BY orders, order_id ORDER BY valid_from, valid_to NULLS LAST)
),
change AS (
    SELECT s.orders, s.order_id, s.staff_id, s.made_at, s.valid_from AS changed_at, c.key AS what,
           s.row_before ->> c.key AS old, c.value AS new
      FROM step s CROSS JOIN LATERAL jsonb_each_text(s.content) c
     WHERE s.before_ended_by = 'changed' AND c.value IS DISTINCT FROM s.row_before ->> c.key
    UNION ALL
    SELECT orders, order_id, staff_id, made_at, valid_from, 'came back', NULL, NULL
      FROM step
     WHERE before_ended_by = 'deleted'
    UNION ALL
    SELECT orders, order_id, staff_id, made_at, valid_to, 'deleted', NULL, NULL
      FROM step
     WHERE ended_by = 'deleted'
),
known AS (
    SELECT what, CAST(staff_id AS text) AS id, concat_ws(' ', first_name, last_name) AS name
      FROM dim_staff CROSS JOIN (VALUES ('sales_staff_id'), ('staff_id')) named (what)
    UNION ALL
    SELECT 'design_id', CAST(design_id AS text), file_name FROM dim_design
    UNION ALL
    SELECT 'agreed_delivery_location_id', CAST(location_id AS text), concat_ws(', ', address_line_1, city, country)
      FROM dim_location
    UNION ALL
    SELECT 'counterparty_id', CAST(counterparty_id AS text), counterparty_legal_name FROM dim_counterparty
    UNION ALL
    SELECT 'currency_id', CAST(currency_id AS text), currency_code FROM dim_currency
)
SELECT ch.changed_at, ch.orders, ch.order_id,
       replace(regexp_replace(ch.what, '_id$', ''), '_', ' ') AS what,
       COALESCE(o.name || ' (' || o.id || ')', ch.old) AS old,
       COALESCE(n.name || ' (' || n.id || ')', ch.new) AS new,
       concat_ws(' ', s.first_name, s.last_name) AS staff, s.department_name AS department,
       round(CAST(extract(epoch FROM ch.changed_at - ch.made_at) / 86400 AS numeric), 2) AS days_after_creation
  FROM change ch
  JOIN dim_staff s ON s.staff_id = ch.staff_id
  LEFT JOIN known o ON o.what = ch.what AND o.id = ch.old
  LEFT JOIN known n ON n.what = ch.what AND n.id = ch.new
 WHERE CAST(ch.changed_at AT TIME ZONE 'UTC' AS date)
       BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
 ORDER BY ch.changed_at DESC, ch.orders, ch.order_id, ch.what
