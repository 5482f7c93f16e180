-- Which of these change batches are recorded in the warehouse's books.
SELECT change_batch
  FROM _load_batch
 WHERE change_batch = ANY (CAST(:batches AS text[]))
