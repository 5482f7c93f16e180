-- Question: Which items do we buy, how many, at what price?
-- Read: One row an item and currency, the most spent in each currency first. The average price is what one piece cost
--   over all of them, so a large order weighs more than a small one.
-- Counted: Purchase orders as they are now, quantity times unit price.
-- Not counted: Orders that were deleted.
-- Parameter from (date; none): The first day on which an order was made.
-- Parameter to (date; none): The last such day, itself counted.
-- Parameter currency (currency; none): Only this currency, by its code.
SELECT o.item_code, c.currency_code AS currency, count(DISTINCT o.counterparty_id) AS suppliers, count(*) AS orders,
       sum(o.item_quantity) AS quantity, sum(o.item_quantity * o.item_unit_price) AS spend,
       min(o.item_unit_price) AS lowest_price,
       round(sum(o.item_quantity * o.item_unit_price) / sum(o.item_quantity), 2) AS average_price,
       max(o.item_unit_price) AS highest_price
  FROM current_purchase_order o
  JOIN dim_currency c ON c.currency_id = o.currency_id
 WHERE o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity') AND COALESCE(CAST(:to AS date), 'infinity')
   AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
 GROUP BY o.item_code, c.currency_id
 ORDER BY currency, spend DESC, o.item_code, c.currency_id
