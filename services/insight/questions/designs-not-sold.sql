-- Question: Which designs were not sold?
-- Read: One row a design that no sales order asks for; one that an order asked for only before it was changed is listed.
-- Counted: Every design that the warehouse knows, also one that was deleted in the source.
-- Not counted: Designs of sales orders as they are now.
-- Parameter from (date; none): The first day on which an order was made; an earlier one counts for nothing.
-- Parameter to (date; none): The last such day, itself counted.
SELECT d.design_id, d.design_name, d.file_location, d.file_name
  FROM dim_design d
 WHERE NOT EXISTS (
       SELECT
         FROM current_sales_order o
        WHERE o.design_id = d.design_id
          AND o.created_date BETWEEN COALESCE(CAST(:from AS date), '-infinity')
                                 AND COALESCE(CAST(:to AS date), 'infinity'))
 ORDER BY d.design_name, d.design_id
