-- Versions of sales orders that point to no member of a dimension: none, whatever the constraints say.
SELECT count(*)
  FROM fact_sales_order f
 WHERE NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = f.created_date)
    OR NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = f.last_updated_date)
    OR NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = f.agreed_payment_date)
    OR NOT EXISTS (SELECT FROM dim_date d WHERE d.date_id = f.agreed_delivery_date)
    OR NOT EXISTS (SELECT FROM dim_staff s WHERE s.staff_id = f.sales_staff_id)
    OR NOT EXISTS (SELECT FROM dim_counterparty c WHERE c.counterparty_id = f.counterparty_id)
    OR NOT EXISTS (SELECT FROM dim_currency c WHERE c.currency_id = f.currency_id)
    OR NOT EXISTS (SELECT FROM dim_design d WHERE d.design_id = f.design_id)
    OR NOT EXISTS (SELECT FROM dim_location l WHERE l.location_id = f.agreed_delivery_location_id);
