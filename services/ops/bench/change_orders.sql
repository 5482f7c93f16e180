-- Change the orders with the keys :every, 2 x :every, ... up to :orders x :every; each one really changes.
UPDATE sales_order SET units_sold = units_sold + 1, last_updated = current_timestamp
WHERE sales_order_id % CAST(:every AS int) = 0 AND sales_order_id <= CAST(:every AS int) * CAST(:orders AS int);
