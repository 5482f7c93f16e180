-- Question: Which departments sell how much?
-- Read: One row a department and currency, the most revenue of each currency first; `staff` is how many of its people
--   sold.
-- Counted: Sales orders as they are now, for the department that their member of staff is in today.
-- Not counted: Orders that were deleted; departments without a sale.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT s.department_name AS department, c.currency_code AS currency, count(DISTINCT s.staff_id) AS staff,
       count(*) AS orders, sum(o.units_sold) AS units, sum(o.units_sold * o.unit_price) AS revenue
  FROM current_sales_order o
  JOIN dim_staff s ON s.staff_id = o.sales_staff_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY s.department_name, c.currency_id
 ORDER BY currency, revenue DESC, department, c.currency_id
