-- The sales orders that are current in the warehouse: their number and the same checksum.
SELECT count(*),
       COALESCE(sum(hashtextextended(concat_ws('|', sales_order_id, created_date, created_time,
           last_updated_date, last_updated_time, sales_staff_id, counterparty_id, units_sold, unit_price,
           currency_id, design_id, agreed_payment_date, agreed_delivery_date,
           agreed_delivery_location_id), 0)), 0)::text
  FROM current_sales_order;
