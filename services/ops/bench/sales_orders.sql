-- Sales orders 1 to :orders, one every step of the past, with values drawn by a hash of the key.
INSERT INTO sales_order (sales_order_id, created_at, last_updated, design_id, staff_id, counterparty_id, units_sold,
                         unit_price, currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT number, at, at, 1 + drawn % designs, 1 + (drawn >> 5) % people, 1 + (drawn >> 10) % companies,
       1000 + (drawn >> 15) % 99001, CAST((200 + (drawn >> 20) % 201) / 100.0 AS numeric(10, 2)),
       1 + (drawn >> 25) % currencies, CAST(at AS date) + CAST(1 + (drawn >> 30) % 7 AS int),
       CAST(at AS date) + CAST(1 + (drawn >> 35) % 6 AS int), 1 + (drawn >> 40) % places
FROM (SELECT count(*) AS designs FROM design) AS counted_design
CROSS JOIN (SELECT count(*) AS people FROM staff) AS counted_staff
CROSS JOIN (SELECT count(*) AS companies FROM counterparty) AS counted_counterparty
CROSS JOIN (SELECT count(*) AS currencies FROM currency) AS counted_currency
CROSS JOIN (SELECT count(*) AS places FROM address) AS counted_address
CROSS JOIN (SELECT CAST(:ends AS timestamp) - CAST(:begins AS timestamp) AS past) AS span
CROSS JOIN generate_series(1, CAST(:orders AS int)) AS number
CROSS JOIN LATERAL (SELECT hashint8extended(number, 0) & 9223372036854775807) AS draw (drawn)
CROSS JOIN LATERAL (
    SELECT CAST(CAST(:begins AS timestamp) + past * ((number - 1 + drawn % 1000 / 1000.0) / :orders) AS timestamp(3))
) AS moment (at);
