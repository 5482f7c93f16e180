-- How far an earlier run had come.
SELECT max(payment_date) FILTER (WHERE paid), coalesce(max(payment_id), 0) FROM payment;
