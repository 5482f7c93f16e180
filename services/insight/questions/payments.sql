-- Question: What is paid, due and overdue, and what will never be paid?
-- Read: One row a type of payment, currency and status. `due` is unpaid and its day has not passed; `overdue` is unpaid
--   and it has; `never` is unpaid and due on a Saturday or Sunday: the job that pays runs on weekdays, for that day's
--   payments alone, so nobody will pay it unless somebody moves its day. SALES_RECEIPT is money that comes in,
--   PURCHASE_PAYMENT money that goes out.
-- Counted: Payments as they were at that moment; days are reckoned in UTC, and a payment is overdue from the next day
--   on.
-- Not counted: Payments that were deleted by then.
-- Parameter at (moment; now): The moment.
-- Parameter currency (currency; none): Only this currency, by its code.
WITH payment AS (
    SELECT t.payment_type_name AS payment_type, c.currency_id, c.currency_code AS currency, p.payment_amount,
           p.payment_date,
           CASE WHEN p.paid THEN 'paid'
                WHEN d.day_of_week IN (6, 7) THEN 'never'
                WHEN p.payment_date < CAST(CAST(:at AS timestamptz) AT TIME ZONE 'UTC' AS date) THEN 'overdue'
                ELSE 'due'
           END AS status
      FROM history_payment p
      JOIN dim_payment_type t ON t.payment_type_id = p.payment_type_id
      JOIN dim_currency c ON c.currency_id = p.currency_id
      JOIN dim_date d ON d.date_id = p.payment_date
     WHERE p.valid_from <= CAST(:at AS timestamptz)
       AND (p.valid_to IS NULL OR p.valid_to > CAST(:at AS timestamptz))
       AND c.currency_code = COALESCE(CAST(:currency AS text), c.currency_code)
)
SELECT payment_type, currency, status, count(*) AS payments, sum(payment_amount) AS amount,
       min(payment_date) AS first_due, max(payment_date) AS last_due
  FROM payment
 GROUP BY payment_type, currency_id, currency, status
 ORDER BY payment_type DESC, currency, currency_id, array_position(ARRAY['overdue', 'never', 'due', 'paid'], status)
