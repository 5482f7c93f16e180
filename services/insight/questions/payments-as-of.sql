-- Question: What did the payments look like at any moment?
-- Read: One row a payment that was there, and whether it was paid then; `until` is when that changed or was deleted,
--   and is empty where it still holds. Names are those of today: dimensions keep no history.
-- Counted: The version that held at that moment: from `since` on, up to but not including `until`.
-- Not counted: Payments made later, and those deleted by then.
-- Parameter at (moment; now): The moment; a bare date is its first instant.
-- Parameter payment (number; none): Only this payment.
SELECT p.payment_id, p.created_date AS made, t.payment_type_name AS payment_type,
       n.counterparty_legal_name AS counterparty, p.payment_amount AS amount, c.currency_code AS currency,
       p.payment_date AS due_on, p.paid, x.sales_order_id, x.purchase_order_id,
       p.valid_from AS since, p.valid_to AS until
  FROM history_payment p
  JOIN dim_payment_type t ON t.payment_type_id = p.payment_type_id
  JOIN dim_counterparty n ON n.counterparty_id = p.counterparty_id
  JOIN dim_currency c ON c.currency_id = p.currency_id
  JOIN dim_transaction x ON x.transaction_id = p.transaction_id
 WHERE p.valid_from <= CAST(:at AS timestamptz) AND (p.valid_to IS NULL OR p.valid_to > CAST(:at AS timestamptz))
   AND p.payment_id = COALESCE(CAST(:payment AS int), p.payment_id)
 ORDER BY p.payment_id
