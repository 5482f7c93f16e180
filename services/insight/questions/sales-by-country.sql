-- Question: Which countries do we sell to, and how much?
-- Read: One row a country and currency, the most revenue of each currency first. A country is the one of the customer's
--   legal address or, asked for delivery, the one that the goods go to: the two are often not the same.
-- Counted: Sales orders as they are now, units times unit price.
-- Not counted: Orders that were deleted; countries without a sale.
-- Parameter of (counterparty|delivery; counterparty): Whose country is meant.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT CASE WHEN :of = 'delivery' THEN l.country ELSE p.counterparty_legal_country END AS country,
       c.currency_code AS currency, count(DISTINCT p.counterparty_id) AS counterparties, count(*) AS orders,
       sum(o.units_sold) AS units, sum(o.units_sold * o.unit_price) AS revenue
  FROM current_sales_order o
  JOIN dim_counterparty p ON p.counterparty_id = o.counterparty_id
  JOIN dim_location l ON l.location_id = o.agreed_delivery_location_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY 1, c.currency_id
 ORDER BY currency, revenue DESC, country, c.currency_id
