-- Question: Which suppliers do we buy from, and for how much?
-- Read: One row a counterparty and currency, the most spent in each currency first.
-- Counted: Purchase orders as they are now, quantity times unit price.
-- Not counted: Orders that were deleted; counterparties that sold us nothing. What was ordered is counted, not what was
--   paid: see `payments` for that.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT p.counterparty_id, p.counterparty_legal_name AS supplier, p.counterparty_legal_country AS country,
       c.currency_code AS currency, count(*) AS orders, count(DISTINCT o.item_code) AS items,
       sum(o.item_quantity) AS quantity, sum(o.item_quantity * o.item_unit_price) AS spend,
       max(o.created_date) AS last_order
  FROM current_purchase_order o
  JOIN dim_counterparty p ON p.counterparty_id = o.counterparty_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY p.counterparty_id, c.currency_id
 ORDER BY currency, spend DESC, p.counterparty_id, c.currency_id
