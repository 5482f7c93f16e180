"""Generate the star schema's SQL from the contracts: tables, bookkeeping, views.

The migrations are frozen; a test holds what they make to what this module says, so that a changed contract without a
migration fails. Print it, and take what the next migration needs: `python -m services.loader.ddl`.
"""

from collections.abc import Iterator

from contracts.star import STAR_TABLES, Column, Kind, StarRow
from services.loader.schema import DATES, FACTS, feed_of
from shared.bookkeeping import POSITION, SEEN_POSITION, columns_of, listed, row, seen_view, unversioned_table
from shared.postgres import identifier, literal

_FACT_BOOKKEEPING = (
    "_generation int NOT NULL",
    "_revision bigint NOT NULL",
    "_contract int NOT NULL",
    "_star_hash bigint NOT NULL",
    "_row_hash bigint",
    "_seen_at timestamptz NOT NULL",
)
_DIMENSION_BOOKKEEPING = (
    "_generation int NOT NULL",
    "_revision bigint NOT NULL",
    "_contract int NOT NULL",
    "_row_hash bigint",
    "_star_hash bigint",
    "_seen_at timestamptz",
    "_deleted_generation int",
    "_deleted_revision bigint",
    "_inferred_at timestamptz",
)
_LOADS = """\
-- Every load batch that was committed, with its snapshot and its clocks.
CREATE TABLE _load_batch (
    id text CONSTRAINT _load_batch_pkey PRIMARY KEY,
    change_batch text NOT NULL,
    feed text NOT NULL,
    star_table text NOT NULL,
    operation text NOT NULL,
    origin text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    page bigint NOT NULL,
    since timestamptz,
    as_of timestamptz NOT NULL,
    rows bigint NOT NULL,
    quarantined bigint NOT NULL,
    object_key text NOT NULL,
    loaded_at timestamptz NOT NULL
);

-- The freshness view reads the latest load batches of a feed.
CREATE INDEX _load_batch_feed ON _load_batch (feed, loaded_at);

-- Operators ask what was loaded lately, over all feeds.
CREATE INDEX _load_batch_loaded_at ON _load_batch (loaded_at);

-- Whether a change batch has arrived.
CREATE INDEX _load_batch_change_batch ON _load_batch (change_batch);

-- What is known of each feed: totals, and the time zone of its newest snapshot.
CREATE TABLE _feed (
    feed text CONSTRAINT _feed_pkey PRIMARY KEY,
    star_table text NOT NULL,
    time_zone text NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    as_of timestamptz NOT NULL,
    last_loaded timestamptz NOT NULL,
    rows_loaded bigint NOT NULL,
    quarantined bigint NOT NULL
);"""
_HEARTBEATS = """\
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
);"""
_KEEPING = """\
-- What somebody deletes or moves in a fact by hand stays an observation, so that a reconcile gives the version back.
CREATE FUNCTION _keep_observations() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format(
        'INSERT INTO %1$I.%2$I (key, generation, revision, contract, row_hash, star_hash, seen_at)
         SELECT %3$I, _generation, _revision, _contract, _row_hash, _star_hash, _seen_at FROM %4$s g
          WHERE NOT EXISTS (SELECT FROM %1$I.%5$I f
                             WHERE (f.%3$I, f._generation, f._revision, f._contract, f._star_hash)
                                 = (g.%3$I, g._generation, g._revision, g._contract, g._star_hash))
             OR %6$L = ''TRUNCATE''
             ON CONFLICT DO NOTHING',
        TG_TABLE_SCHEMA, TG_ARGV[0], TG_ARGV[1],
        CASE TG_OP WHEN 'TRUNCATE' THEN format('%I.%I', TG_TABLE_SCHEMA, TG_TABLE_NAME) ELSE 'gone' END,
        TG_TABLE_NAME, TG_OP);
    RETURN NULL;
END $$;"""
_FRESHNESS = """\
-- Each feed: how far it is loaded and complete, and how fresh its last 1000 polls and scans with rows were at commit.
CREATE VIEW freshness AS
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
                LIMIT 1000) sample) recent;"""


def star_schema() -> str:
    """The SQL of the whole star schema, for a search path that names its schema."""
    return "\n\n".join(_statements()) + "\n"


def _statements() -> Iterator[str]:
    for table in STAR_TABLES:
        yield _table(table)
    for fact in FACTS:
        yield _unversioned(fact)
    yield _KEEPING
    for fact in FACTS:
        yield _keeping(fact)
    yield _LOADS
    yield _HEARTBEATS
    for fact in FACTS:
        yield _seen(fact)
        yield from views(fact)
    yield _FRESHNESS


def new_table(table: type[StarRow]) -> Iterator[str]:
    """What a migration creates for a star table that is new: the table, its observations and its views."""
    yield _table(table)
    if table.kind() is Kind.FACT:
        yield _unversioned(table)
        yield _keeping(table)
        yield _seen(table)
        yield from views(table)


def views(fact: type[StarRow]) -> Iterator[str]:
    """A fact's views, which name its columns: a migration that changes those makes them anew."""
    yield _current(fact)
    yield _history(fact)


def view_names(fact: type[StarRow]) -> tuple[str, str]:
    """The names of a fact's views: what lives, and every version."""
    return f"current_{feed_of(fact)}", f"history_{feed_of(fact)}"


def _table(table: type[StarRow]) -> str:
    """A star table: the predefined columns, then our own."""
    lines = [defined(table, column) for column in table.columns()]
    if table.kind() is Kind.FACT:
        lines.insert(0, f"{identifier(str(table.record_id))} serial {_primary(table)}")
        lines += _FACT_BOOKKEEPING
        version = identifier(f"{table.table}_version")
        lines.append(f"CONSTRAINT {version} UNIQUE ({identifier(table.key)}, {listed(POSITION)})")
    elif table.table != DATES:
        lines += _DIMENSION_BOOKKEEPING
    body = ",\n".join(f"    {line}" for line in lines)
    return f"-- {_first_sentence(table)}\nCREATE TABLE {identifier(table.table)} (\n{body}\n);"


def defined(table: type[StarRow], column: Column) -> str:
    """A predefined column with its constraints, as CREATE TABLE and ADD COLUMN take it."""
    parts = [identifier(column.name), column.sql]
    if column.name == table.key and table.kind() is Kind.DIMENSION:
        parts.append(_primary(table))
    elif not column.nullable:
        parts.append("NOT NULL")
    if column.references is not None:
        name = identifier(f"{table.table}_{column.name}_fkey")
        parts.append(f"CONSTRAINT {name} REFERENCES {identifier(column.references)}")
    return " ".join(parts)


def _primary(table: type[StarRow]) -> str:
    return f"CONSTRAINT {identifier(f'{table.table}_pkey')} PRIMARY KEY"


def _first_sentence(table: type[StarRow]) -> str:
    return (table.__doc__ or "").split("\n", maxsplit=1)[0]


def _unversioned(fact: type[StarRow]) -> str:
    """Observations that are no version's own; only deletions are looked for apart from their position."""
    name = unversioned_table(fact)
    bare = _bare(name)
    return f"""\
-- Observations of a {feed_of(fact)} that made no version: equal to the one before, or found deleted (no star hash).
CREATE TABLE {name} (
    key int NOT NULL,
    generation int NOT NULL,
    revision bigint NOT NULL,
    contract int NOT NULL,
    row_hash bigint,
    star_hash bigint,
    seen_at timestamptz NOT NULL,
    CONSTRAINT {identifier(f"{bare}_pkey")} PRIMARY KEY (key, {listed(SEEN_POSITION)})
);

-- The views ask whether a deletion came later.
CREATE INDEX {identifier(f"{bare}_deleted")} ON {name} (key, {listed(SEEN_POSITION)}) WHERE star_hash IS NULL;"""


def _bare(name: str) -> str:
    """A name of our own without its quotes."""
    return name.strip('"')


def _keeping(fact: type[StarRow]) -> str:
    """Its triggers; they cost what is inserted nothing. Statements', since one may delete a million rows."""
    name, told = identifier(fact.table), f"{literal(_bare(unversioned_table(fact)))}, {literal(fact.key)}"
    return "\n\n".join(
        f"CREATE TRIGGER {identifier(f'{fact.table}_{word}')} {when} ON {name}{gone}\n"
        f"    FOR EACH STATEMENT EXECUTE FUNCTION _keep_observations({told});"
        for word, when, gone in (
            ("deleted", "AFTER DELETE", " REFERENCING OLD TABLE AS gone"),
            ("updated", "AFTER UPDATE", " REFERENCING OLD TABLE AS gone"),
            ("truncated", "BEFORE TRUNCATE", ""),
        )
    )


def _seen(fact: type[StarRow]) -> str:
    return f"""\
-- Every observation of a {feed_of(fact)}: versions, and what made none. Without a star hash it was found deleted.
CREATE VIEW {seen_view(fact)} AS
SELECT key, {listed(SEEN_POSITION)}, row_hash, star_hash, seen_at FROM {unversioned_table(fact)}
UNION ALL
SELECT {identifier(fact.key)}, {listed(POSITION)}, _row_hash, _star_hash, _seen_at FROM {identifier(fact.table)};"""


def _current(fact: type[StarRow]) -> str:
    name, key, beside = identifier(fact.table), identifier(fact.key), unversioned_table(fact)
    view = identifier(view_names(fact)[0])
    return f"""\
-- One row for each live {feed_of(fact)}: no later version, no later deletion.
CREATE VIEW {view} AS
SELECT {listed(_shown(fact), "f")}
  FROM {name} f
 WHERE NOT EXISTS (SELECT FROM {name} n
                    WHERE n.{key} = f.{key} AND {row(POSITION, "n")} > {row(POSITION, "f")})
   AND NOT EXISTS (SELECT FROM {beside} d
                    WHERE d.star_hash IS NULL AND d.key = f.{key}
                      AND {row(SEEN_POSITION, "d")} > {row(POSITION, "f")});"""


def _history(fact: type[StarRow]) -> str:
    name, key, beside = identifier(fact.table), identifier(fact.key), unversioned_table(fact)
    view = identifier(view_names(fact)[1])
    return f"""\
-- Every version of a {feed_of(fact)}: when it held, in the source's time, and how it ended (NULL while it is current).
CREATE VIEW {view} AS
SELECT {listed(_shown(fact), "f")},
       CASE WHEN EXISTS (SELECT FROM {name} p
                          WHERE p.{key} = f.{key} AND {row(POSITION, "p")} < {row(POSITION, "f")})
              OR EXISTS (SELECT FROM {beside} p
                          WHERE p.key = f.{key} AND {row(SEEN_POSITION, "p")} < {row(POSITION, "f")})
            THEN f._seen_at
            ELSE LEAST(f._seen_at, (f.created_date + f.created_time) AT TIME ZONE
                       COALESCE((SELECT time_zone FROM _feed WHERE feed = {literal(feed_of(fact))}), 'UTC'))
       END AS valid_from,
       ended.seen_at AS valid_to,
       ended.ended_by
  FROM {name} f
  LEFT JOIN LATERAL (
       SELECT e.seen_at, e.ended_by
         FROM ((SELECT {listed(SEEN_POSITION, "d")}, d.seen_at, 'deleted' AS ended_by
                  FROM {beside} d
                 WHERE d.star_hash IS NULL AND d.key = f.{key} AND {row(SEEN_POSITION, "d")} > {row(POSITION, "f")}
                 ORDER BY {listed(SEEN_POSITION, "d")}
                 LIMIT 1)
               UNION ALL
               (SELECT {listed(POSITION, "n")}, n._seen_at, 'changed'
                  FROM {name} n
                 WHERE n.{key} = f.{key} AND {row(POSITION, "n")} > {row(POSITION, "f")}
                 ORDER BY {listed(POSITION, "n")}
                 LIMIT 1)) e
        ORDER BY {listed(SEEN_POSITION, "e")}
        LIMIT 1) ended ON true;"""


def _shown(fact: type[StarRow]) -> list[str]:
    return [identifier(str(fact.record_id)), *columns_of(fact)]


if __name__ == "__main__":
    print(star_schema(), end="")
