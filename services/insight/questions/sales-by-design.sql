-- Question: Which designs sell, and how much of each?
-- Read: One row a design and currency, the most revenue of each currency first. Names repeat, so `designs` says how
--   many different ones of that name were sold; by file, a row is one design.
-- Counted: Sales orders as they are now, units times unit price.
-- Not counted: Orders that were deleted, and designs that were not sold: see `designs-not-sold`.
-- Parameter by (name|file; name): Whether designs of one name are added up, or shown one by one.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT d.design_name, CASE WHEN :by = 'file' THEN d.file_name END AS file_name, c.currency_code AS currency,
       count(DISTINCT d.design_id) AS designs, count(*) AS orders, sum(o.units_sold) AS units,
       sum(o.units_sold * o.unit_price) AS revenue
  FROM current_sales_order o
  JOIN dim_design d ON d.design_id = o.design_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY d.design_name, CASE WHEN :by = 'file' THEN d.file_name END, c.currency_id
 ORDER BY currency, revenue DESC, design_name, file_name, c.currency_id
