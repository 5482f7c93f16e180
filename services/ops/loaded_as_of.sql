-- Which of these change batches the warehouse has loaded, each with the earliest of its source clocks.
SELECT change_batch, min(as_of)
  FROM _load_batch
 WHERE change_batch = ANY (:batches::text[])
 GROUP BY change_batch
