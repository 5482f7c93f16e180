-- New orders in one transaction; the numbers given break the tightened contract, in one way each.
INSERT INTO sales_order (created_at, last_updated, design_id, staff_id, counterparty_id, units_sold, unit_price,
                         currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id)
SELECT now()::timestamp, now()::timestamp, (SELECT min(design_id) FROM design), (SELECT min(staff_id) FROM staff),
       (SELECT min(counterparty_id) FROM counterparty),
       CASE WHEN n = ANY(CAST(:units AS int[])) THEN 5000 ELSE n % 900 + 1 END,
       CASE WHEN n = ANY(CAST(:prices AS int[])) THEN 1234.50 ELSE 9.75 END,
       (SELECT min(currency_id) FROM currency),
       CASE WHEN n = ANY(CAST(:dates AS int[])) THEN '2026-12-24' ELSE '2026-12-01' END, '2026-12-08',
       (SELECT min(address_id) FROM address)
  FROM generate_series(1, CAST(:orders AS int)) n
