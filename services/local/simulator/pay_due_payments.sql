-- Pay what is due: one statement, so one last_updated for all. A locked payment is about to be deleted.
UPDATE payment
SET paid = true, last_updated = current_timestamp
WHERE payment_id IN (
    SELECT payment_id FROM payment
    WHERE NOT paid AND payment_date IN (:day, :weekday_before)
    FOR NO KEY UPDATE SKIP LOCKED
)
RETURNING payment_id;
