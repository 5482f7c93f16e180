-- Write down a transaction's changes, last thing before its commit, so that `at` is as late as it can be.
INSERT INTO totes_journal.change (feed, key, kind)
SELECT feed, key, kind
FROM unnest(CAST(:feeds AS varchar[]), CAST(:keys AS int[]), CAST(:kinds AS varchar[])) AS written (feed, key, kind);
