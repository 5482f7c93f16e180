-- Rows loaded and rows quarantined of every feed, over all its load batches.
SELECT feed, rows_loaded, quarantined
  FROM _feed
