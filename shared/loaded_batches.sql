-- Which of these change batches the warehouse has loaded.
SELECT change_batch
  FROM _load_batch
 WHERE change_batch = ANY (:batches::text[])
