-- Whether a page of a feed is loaded; a repair bears the number of a page that is yet to be captured.
CREATE INDEX _load_batch_captured ON _load_batch (feed, page) WHERE origin IN ('backfill', 'poll', 'scan');

-- The newest heartbeat that arrived, one row at most: a pipeline without changes proves that it lives.
CREATE TABLE _heartbeat (
    one boolean CONSTRAINT _heartbeat_pkey PRIMARY KEY CONSTRAINT _heartbeat_one CHECK (one),
    id text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    as_of timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL
);

-- What heartbeats say of a feed, the newest for each page: all that was visible at as_of lies in the pages before it.
CREATE TABLE _heartbeat_feed (
    feed text NOT NULL,
    page bigint NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    as_of timestamptz NOT NULL,
    CONSTRAINT _heartbeat_feed_pkey PRIMARY KEY (feed, page)
);

-- How far each feed is complete: every page before this one is loaded, and with it all that was visible at as_of.
CREATE TABLE _complete (
    feed text CONSTRAINT _complete_pkey PRIMARY KEY,
    page bigint NOT NULL,
    as_of timestamptz,
    proven_at timestamptz
);

-- What was loaded before: up to the first number that is missing. Here a repair counts too, for a poller of those days
-- went past its number when it took over; what is missing beneath it has been repaired since, or lies parked.
INSERT INTO _complete (feed, page)
SELECT feed, count(*) FILTER (WHERE page = place)
  FROM (SELECT feed, page, row_number() OVER (PARTITION BY feed ORDER BY page) - 1 AS place
          FROM (SELECT DISTINCT feed, page FROM _load_batch) loaded) numbered
 GROUP BY feed;

-- Each feed: how far it is loaded and complete, and how fresh its last 1000 polls and scans with rows were at commit.
CREATE OR REPLACE VIEW freshness AS
SELECT f.feed, f.star_table, f.as_of, f.last_loaded, f.rows_loaded, f.quarantined, f.generation, f.revision,
       recent.p50_ms, recent.p99_ms, recent.samples,
       c.page AS complete_page, c.as_of AS complete_as_of, c.proven_at
  FROM _feed f LEFT JOIN _complete c ON c.feed = f.feed CROSS JOIN LATERAL (
       SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY ms) AS p50_ms,
              percentile_cont(0.99) WITHIN GROUP (ORDER BY ms) AS p99_ms,
              count(*) AS samples
         FROM (SELECT CAST(extract(epoch FROM b.loaded_at - b.since) * 1000 AS double precision) AS ms
                 FROM _load_batch b
                WHERE b.feed = f.feed AND b.origin IN ('poll', 'scan') AND b.since IS NOT NULL AND b.rows > 0
                ORDER BY b.loaded_at DESC
                LIMIT 1000) sample) recent;
