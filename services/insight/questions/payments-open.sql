-- Question: Which payments are open, whose are they, and how late?
-- Read: One row an unpaid payment, the longest waiting first; `days_late` counts from its day, and is empty until that
--   has passed. `due`, `overdue` and `never` mean what they do in `payments`: a payment that is due on a Saturday or
--   Sunday is never paid unless somebody moves its day.
-- Counted: Payments as they were at that moment; days are reckoned in UTC.
-- Not counted: Payments that were paid or deleted by then.
-- Parameter status (all|overdue|never|due; all): Only these.
-- Parameter at (moment; now): The moment.
-- Parameter currency (currency; none): Only this currency, by its code.
WITH unpaid AS (
    SELECT p.payment_id, p.payment_date, d.day_name, p.payment_amount, p.transaction_id, p.counterparty_id,
           c.currency_code, t.payment_type_name,
           CASE WHEN d.day_of_week IN (6, 7) THEN 'never'
                WHEN p.payment_date < CAST(CAST(:at AS timestamptz) AT TIME ZONE 'UTC' AS date) THEN 'overdue'
                ELSE 'due'
           END AS status,
           CAST(CAST(:at AS timestamptz) AT TIME ZONE 'UTC' AS date) - p.payment_date AS days
      FROM history_payment p
      JOIN dim_payment_type t ON t.payment_type_id = p.payment_type_id
      JOIN dim_currency c ON c.currency_id = p.currency_id
      JOIN dim_date d ON d.date_id = p.payment_date
     WHERE NOT p.paid
       AND p.valid_from <= CAST(:at AS timestamptz)
       AND (p.valid_to IS NULL OR p.valid_to > CAST(:at AS timestamptz))
       AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
)
SELECT u.payment_id, u.status, u.payment_date AS due_on, u.day_name AS day,
       CASE WHEN u.days > 0 THEN u.days END AS days_late,
       u.payment_type_name AS payment_type, u.payment_amount AS amount, u.currency_code AS currency,
       p.counterparty_legal_name AS counterparty, t.sales_order_id, t.purchase_order_id
  FROM unpaid u
  JOIN dim_counterparty p ON p.counterparty_id = u.counterparty_id
  JOIN dim_transaction t ON t.transaction_id = u.transaction_id
 WHERE :status IN ('all', u.status)
 ORDER BY u.payment_date, u.payment_id
