-- Question: Who sold how much?
-- Read: One row a member of staff and currency, the most revenue of each currency first. The department is today's.
-- Counted: Sales orders as they are now, for whoever they belong to now: one that was handed over counts for the new
--   owner.
-- Not counted: Orders that were deleted; staff without a sale.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT s.staff_id, concat_ws(' ', s.first_name, s.last_name) AS staff, s.department_name AS department,
       c.currency_code AS currency, count(*) AS orders, sum(o.units_sold) AS units,
       sum(o.units_sold * o.unit_price) AS revenue, round(avg(o.units_sold * o.unit_price), 2) AS average_order
  FROM current_sales_order o
  JOIN dim_staff s ON s.staff_id = o.sales_staff_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY s.staff_id, c.currency_id
 ORDER BY currency, revenue DESC, s.staff_id, c.currency_id
