-- Of each feed, how many of the last so many pages it captured are not loaded yet; pages before its proof are.
SELECT n.feed, greatest(0, n.page - n.first - (
       SELECT count(DISTINCT b.page) FROM _load_batch b
        WHERE b.feed = n.feed AND b.origin IN ('backfill', 'poll', 'scan') AND b.page >= n.first AND b.page < n.page))
  FROM (SELECT f.feed, f.page, greatest(f.page - :at_most, COALESCE(c.page, 0)) AS first
          FROM unnest(:feeds::text[], :pages::bigint[]) f (feed, page)
          LEFT JOIN _complete c ON c.feed = f.feed) n
