-- Question: What did the sales orders look like at any moment?
-- Read: One row an order that was there, with what was agreed then; `until` is when that changed or was deleted, and is
--   empty where it still holds. Names are those of today: dimensions keep no history.
-- Counted: The version that held at that moment: from `since` on, up to but not including `until`.
-- Not counted: Orders made later, and those deleted by then.
-- Parameter at (moment; now): The moment; a bare date is its first instant.
-- Parameter order (number; none): Only this order.
SELECT o.sales_order_id, o.created_date AS made, p.counterparty_legal_name AS counterparty,
       concat_ws(' ', s.first_name, s.last_name) AS staff, d.file_name AS design, o.units_sold AS units, o.unit_price,
       o.units_sold * o.unit_price AS revenue, c.currency_code AS currency, o.agreed_payment_date,
       o.agreed_delivery_date,
       concat_ws(', ', l.city, l.country) AS delivered_to, o.valid_from AS since, o.valid_to AS until
  FROM history_sales_order o
  JOIN dim_counterparty p ON p.counterparty_id = o.counterparty_id
  JOIN dim_staff s ON s.staff_id = o.sales_staff_id
  JOIN dim_design d ON d.design_id = o.design_id
  JOIN dim_currency c ON c.currency_id = o.currency_id
  JOIN dim_location l ON l.location_id = o.agreed_delivery_location_id
 WHERE o.valid_from <= CAST(:at AS timestamptz) AND (o.valid_to IS NULL OR o.valid_to > CAST(:at AS timestamptz))
   AND o.sales_order_id = COALESCE(CAST(:order AS int), o.sales_order_id)
 ORDER BY o.sales_order_id
