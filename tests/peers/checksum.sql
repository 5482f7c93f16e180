-- What a table of sales orders holds, whatever types a tool gave its columns: rows, and a checksum of all their values.
SELECT count(*), COALESCE(sum(hashtextextended(concat_ws('|', sales_order_id, CAST(created_at AS timestamp(3)),
       CAST(last_updated AS timestamp(3)), design_id, staff_id, counterparty_id, units_sold,
       CAST(unit_price AS numeric(10, 2)), currency_id, CAST(agreed_delivery_date AS date),
       CAST(agreed_payment_date AS date), agreed_delivery_location_id), 0)), 0)::text
FROM any_table;
