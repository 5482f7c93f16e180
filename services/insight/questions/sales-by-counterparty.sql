-- Question: Which customers buy how much, and when did they last?
-- Read: One row a counterparty and currency, the most revenue of each currency first.
-- Counted: Sales orders as they are now, units times unit price.
-- Not counted: Orders that were deleted; counterparties that bought nothing; what was bought from them: see
--   `spend-by-supplier`.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT p.counterparty_id, p.counterparty_legal_name AS counterparty, p.counterparty_legal_country AS country,
       c.currency_code AS currency, count(*) AS orders, sum(o.units_sold) AS units,
       sum(o.units_sold * o.unit_price) AS revenue, max(o.created_date) AS last_order
  FROM current_sales_order o
  JOIN dim_counterparty p ON p.counterparty_id = o.counterparty_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY p.counterparty_id, c.currency_id
 ORDER BY currency, revenue DESC, p.counterparty_id, c.currency_id
