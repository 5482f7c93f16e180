"""`totes trace`: every observation of one row, from its source snapshot to what the warehouse shows of it."""
