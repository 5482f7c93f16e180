-- What the sales orders of the source are, as one row each of the fact would have it: their number and a checksum.
SELECT count(*),
       COALESCE(sum(hashtextextended(concat_ws('|', sales_order_id, created_at::date, created_at::time,
           last_updated::date, last_updated::time, staff_id, counterparty_id, units_sold, unit_price::numeric(10, 2),
           currency_id, design_id, agreed_payment_date::date, agreed_delivery_date::date,
           agreed_delivery_location_id), 0)), 0)::text
  FROM sales_order;
