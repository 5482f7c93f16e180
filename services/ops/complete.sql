-- Of every feed the source clock as of which all is loaded; nothing is proven of a feed that is left out.
SELECT feed, as_of
  FROM _complete
 WHERE as_of IS NOT NULL
