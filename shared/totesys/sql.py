"""The SQL that reads a feed, generated from its contract in this one place; what is not generated lies beside.

Invariant: the text depends on contracts and on which conditions are asked, never on a value. Names go through
`identifier`; values travel by `set_config('totes.…')`, because COPY takes no parameters, and are read back by
`current_setting`.
"""

from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path

from contracts.columnar import family
from contracts.feeds import Feed
from contracts.fields import Family
from contracts.messages import ROW_HASH
from shared.postgres import identifier, literal
from shared.totesys.snapshot import Conditions

RECORD_HASH_VERSION = 140000
"""hash_record_extended came with PostgreSQL 14."""
PROBED = ("", "7", "2026-11-28 09:30:00.25", "twelve bytes", None, "-12345678901234567.89")
"""Texts of a row, of all that a hash may treat differently: none, short and long, whole blocks, NULL. In ASCII, so that
a server of any encoding can read the question."""
PROBED_HASH = -6_132_090_622_987_125_967
"""Its row hash."""
_AS_WRITTEN = frozenset({Family.INTEGER, Family.NUMERIC, Family.TIMESTAMP})
"""Families that COPY writes as a cast to text does; a flag it writes as one letter, a padded text with its padding."""
_TABLE, _JOINED, _ROW = "t", "j", "r"


def statement(name: str) -> str:
    """A handwritten statement of this folder."""
    return Path(__file__).with_name(f"{name}.sql").read_text(encoding="utf-8")


OPEN_TRANSACTIONS = statement("open_transactions")
VITALS = statement("vitals")
RELATIONS = statement("relations")
CLOCK = "SELECT clock_timestamp()"

LOOK = f"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {CLOCK}; {OPEN_TRANSACTIONS}; COMMIT"
"""Step 1 of a poll: first the clock, then the list. READ COMMITTED, so that each statement looks anew."""
PULSE = f"BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY; {CLOCK}; {OPEN_TRANSACTIONS}; {VITALS}; COMMIT"
"""Step 1 and a snapshot of nothing in particular, in one round trip."""
_LIMIT = "LIMIT current_setting('totes.limit')::bigint"
SET_KEYS = "SELECT set_config('totes.keys', CAST(:keys AS text), true)"
SET_RANGE = """
SELECT set_config('totes.low', :low, true), set_config('totes.high', :high, true),
       set_config('totes.width', :width, true)
"""
SET_BOUNDS = "SELECT set_config('totes.after', :after, true), set_config('totes.limit', :limit, true)"


def qualified(schema: str, table: str) -> str:
    """A table's name with its schema, quoted."""
    return f"{identifier(schema)}.{identifier(table)}"


@cache
def set_values(names: tuple[str, ...]) -> str:
    """Hand over values of these names, each as text, to statements of this transaction that take no parameters."""
    return "SELECT " + ", ".join(f"set_config('totes.{name}', :{name}, true)" for name in names)


def at(name: str, place: int | None) -> str:
    """The name of a value: of the one feed's that is read, or of that at a place among many."""
    return name if place is None else f"{name}_{place}"


def begin(
    feeds: Iterable[Feed],
    schema: str,
    *,
    statement_timeout_seconds: float,
    lock_timeout_seconds: float,
    wait: bool = True,
) -> str:
    """Open the snapshot's transaction and lock the feeds' tables; nothing before LOCK may take the snapshot.

    TRUNCATE and rewriting ALTER TABLE are not MVCC-safe: a snapshot older than they are would see an empty table.
    `wait`: as long as the time-out says, else not at all.
    """
    names = dict.fromkeys(table for feed in feeds for table in feed.tables)
    tables = ", ".join(qualified(schema, table) for table in names)
    return (
        "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; "
        "SET LOCAL TimeZone = 'UTC'; SET LOCAL DateStyle = 'ISO, YMD'; SET LOCAL extra_float_digits = 1; "
        f"SET LOCAL statement_timeout = {int(statement_timeout_seconds * 1000)}; "
        f"SET LOCAL lock_timeout = {int(lock_timeout_seconds * 1000)}; "
        f"LOCK TABLE {tables} IN ACCESS SHARE MODE{'' if wait else ' NOWAIT'}"
    )


def copy_rows(feed: Feed, schema: str, asked: Conditions, *, server_version: int) -> str:
    """COPY of the feed's rows in key order: every column cast to text, then the row hash over exactly these texts."""
    # No value is ever part of this text: names go through `identifier`, values through set_config.
    return _copy_hashed(feed, schema, _ahead(feed, asked), _LIMIT, server_version)


def copy_unhashed(feed: Feed, schema: str, asked: Conditions) -> str:
    """COPY of the same rows, each field as in `copy_rows`, without their hash: it costs the source as much again."""
    columns = ", ".join(_written(feed, column) for column in feed.columns)
    where = f"{_ahead(feed, asked)} ORDER BY {_key(feed)} {_LIMIT}"
    return _copy(f"SELECT {columns} FROM {_from(feed, schema)} WHERE {where}")


@cache
def hashes_alike(feed: Feed, schema: str) -> str:
    """Whether the row hash follows from a row's texts alone, as `services.transform.row_hash` makes it of them.

    Not so where a collation calls different texts equal, or where the server's texts have other bytes than COPY's. It
    needs `hash_record_extended`.
    """
    texts = ", ".join("NULL::text" if text is None else f"{literal(text)}::text" for text in PROBED)
    tables = ", ".join(f"{literal(qualified(schema, table))}::regclass" for table in feed.tables)
    return (
        f"SELECT current_setting('server_encoding') = 'UTF8' AND hash_record_extended(ROW({texts}), 0) = {PROBED_HASH} "
        "AND NOT EXISTS (SELECT FROM pg_attribute a JOIN pg_collation c ON c.oid = a.attcollation "
        f"WHERE a.attrelid IN ({tables}) AND NOT c.collisdeterministic)"
    )


def copy_rows_of_keys(feed: Feed, schema: str, *, server_version: int) -> str:
    """COPY of the rows whose keys `totes.keys` names, in key order, as `copy_rows` does."""
    return _copy_hashed(
        feed, schema, f"{_key(feed)} = ANY(current_setting('totes.keys')::bigint[])", "", server_version
    )


def copy_hashes(feed: Feed, schema: str, *, server_version: int) -> str:
    """COPY of key and row hash of the rows between `totes.low` and `totes.high`, in no order."""
    row_hash = _row_hash(_texts(feed), server_version)
    return _copy(f"SELECT {_key(feed)}, {row_hash} FROM {_from(feed, schema)} WHERE {_in_range(feed)}")


def copy_checksums(feed: Feed, schema: str, *, server_version: int) -> str:
    """COPY of part, number of rows and sum of row hashes, between `totes.low` and `totes.high`.

    A part has as many keys as `totes.width` says. A sum is the one combination of hashes that PostgreSQL 13 has.
    """
    row_hash = _row_hash(_texts(feed), server_version)
    part = f"({_key(feed)}::bigint - {_once('low')} - 1) / {_once('width')}"
    return _copy(
        f"SELECT {part}, count(*), sum({row_hash}) FROM {_from(feed, schema)} WHERE {_in_range(feed)} GROUP BY 1"
    )


def copy_bounds(feed: Feed, schema: str) -> str:
    """COPY of number, least and greatest key of the first `totes.limit` rows behind the key `totes.after`."""
    own = f"{qualified(schema, feed.name)} {_TABLE}"
    return _copy(
        f"SELECT count(*), min(key), max(key) FROM (SELECT {_key(feed)} AS key FROM {own} "
        f"WHERE {_key(feed)} > current_setting('totes.after')::bigint "
        f"ORDER BY {_key(feed)} LIMIT current_setting('totes.limit')::bigint) ahead HAVING count(*) > 0"
    )


@cache
def keys_ahead(feed: Feed, schema: str) -> str:
    """The first `:limit` keys of the feed's own table behind `:after`, in their order: NULL or one text for all.

    In it each key is the 16 hexadecimal digits of a bigint, which a reader need not take one by one; and the index
    gives keys in their order, where groups of them would have to be sorted.
    """
    own = f"{qualified(schema, feed.name)} {_TABLE}"
    return (
        f"SELECT encode(string_agg(int8send(key), '' ORDER BY key), 'hex') FROM (SELECT {_key(feed)} AS key FROM {own} "
        f"WHERE {_key(feed)} > CAST(:after AS bigint) ORDER BY {_key(feed)} LIMIT CAST(:limit AS bigint)) ahead"
    )


def count_rows(feed: Feed, schema: str) -> str:
    """How many rows the feed's own table has."""
    return f"SELECT count(*) FROM {qualified(schema, feed.name)}"


def _copy(query: str) -> str:
    return f"COPY ({query}) TO STDOUT WITH (FORMAT text, ENCODING 'UTF8')"


def _copy_hashed(feed: Feed, schema: str, where: str, limit: str, server_version: int) -> str:
    """Rows as texts with their hash. Texts are made once: a subquery that sorts is not merged with what is around it.

    The outer ORDER BY costs no sort of its own, and is what promises the order.
    """
    names = [f"{_ROW}.{identifier(column)}" for column in feed.columns]
    texts = ", ".join(
        f"{text} AS {identifier(column)}" for text, column in zip(_texts(feed), feed.columns, strict=True)
    )
    rows = (
        f"SELECT {texts}, {_key(feed)} AS _key FROM {_from(feed, schema)} WHERE {where} ORDER BY {_key(feed)} {limit}"
    )
    row_hash = _row_hash(names, server_version)
    return _copy(f"SELECT {', '.join(names)}, {row_hash} AS {ROW_HASH} FROM ({rows}) {_ROW} ORDER BY {_ROW}._key")


def _ahead(feed: Feed, asked: Conditions) -> str:
    """The rows that a read has not come to yet, under its conditions."""
    return " AND ".join([f"{_key(feed)} > current_setting('totes.after')::bigint", *_where(feed, asked)])


def _written(feed: Feed, column: str) -> str:
    """A column of which COPY writes the text that a cast makes, without the cast where it writes that anyway."""
    text = _text(feed, column)
    return text.removesuffix("::text") if family(feed.row, column) in _AS_WRITTEN else text


def _in_range(feed: Feed) -> str:
    low, high = (f"current_setting('totes.{name}')::bigint" for name in ("low", "high"))
    return f"{_key(feed)} > {low} AND {_key(feed)} <= {high}"


def _key(feed: Feed) -> str:
    return f"{_TABLE}.{identifier(feed.key)}"


def _texts(feed: Feed) -> list[str]:
    return [_text(feed, column) for column in feed.columns]


def _text(feed: Feed, column: str) -> str:
    """A column as text. `last_updated` of a joined feed is the greatest over the joined rows."""
    if column == "last_updated":
        return f"({_greatest(_each(feed, identifier(column)))})::text"
    return f"{_owner(feed, column)}.{identifier(column)}::text"


def _owner(feed: Feed, column: str) -> str:
    return _JOINED if feed.join is not None and column in feed.join.columns else _TABLE


def _each(feed: Feed, column: str) -> list[str]:
    """A column that each of the feed's tables has, once for each."""
    return [f"{alias}.{column}" for alias in ((_TABLE,) if feed.join is None else (_TABLE, _JOINED))]


def _greatest(terms: list[str]) -> str:
    return terms[0] if len(terms) == 1 else f"greatest({', '.join(terms)})"


def _row_hash(texts: Iterable[str], server_version: int) -> str:
    row = f"ROW({', '.join(texts)})"
    if server_version >= RECORD_HASH_VERSION:
        return f"hash_record_extended({row}, 0)"
    return f"hashtextextended({row}::text, 0)"


def _from(feed: Feed, schema: str) -> str:
    """The feed's table, LEFT JOINed with its second one so that a missing partner loses no row."""
    own = f"{qualified(schema, feed.name)} {_TABLE}"
    if feed.join is None:
        return own
    join = feed.join
    on = f"{_JOINED}.{identifier(join.key)} = {_TABLE}.{identifier(join.on)}"
    return f"{own} LEFT JOIN {qualified(schema, join.table)} {_JOINED} ON {on}"


def glance(feeds: Sequence[Feed], asked: Sequence[Conditions], schema: str) -> str:
    """Of each feed its place, whether a row meets its conditions, and the number of its rows if all are looked at."""
    each = enumerate(zip(feeds, asked, strict=True))
    return " UNION ALL ".join(_glance(feed, one, schema, place) for place, (feed, one) in each)


def _glance(feed: Feed, asked: Conditions, schema: str, place: int) -> str:
    """Every column is named although none is fetched: a feed that cannot be read must fail here as well."""
    columns = ", ".join(f"{_owner(feed, column)}.{identifier(column)}" for column in feed.columns)
    where, rows = " AND ".join(_where(feed, asked, place)), _from(feed, schema)
    if asked.look_back is None:
        each = f"SELECT {columns}, {where} AS _met FROM {rows}"
        return f"SELECT {place}, coalesce(bool_or({_ROW}._met), false), count(*) FROM ({each}) {_ROW}"
    return f"SELECT {place}, EXISTS (SELECT {columns} FROM {rows} WHERE {where}), NULL::bigint"


def _where(feed: Feed, asked: Conditions, place: int | None = None) -> list[str]:
    terms = []
    if asked.look_back is not None:
        # Read once, it refuses most rows at a tenth of the price; read for each row that is left, its value is known
        # to the planner, which so finds an index worth while.
        name = at("look_back", place)
        moments = _once(name, "timestamp"), f"current_setting('totes.{name}')::timestamp"
        terms += [_updated_since(feed, moment) for moment in moments]
    if asked.oldest_new_id is not None:
        widened = _greatest([_widened(xmin) for xmin in _each(feed, "xmin")])
        terms.append(f"{widened} >= {_once(at('oldest_new_id', place))}")
    if asked.polled_from is not None:
        terms.append(f"{_updated_since(feed, _once(at('polled_from', place), 'timestamp'))} IS NOT TRUE")
    return terms


def _updated_since(feed: Feed, moment: str) -> str:
    """Each table's own condition, not one on the greatest, so that an index on last_updated serves."""
    return f"({' OR '.join(f'{moved} >= {moment}' for moved in _each(feed, identifier('last_updated')))})"


def _widened(xmin: str) -> str:
    """A 32-bit transaction id as the 64-bit one just below the snapshot's xmax, before any comparison."""
    xmax = _once("xmax")
    return f"({xmax} - (({xmax} - {xmin}::text::bigint) & 4294967295))"


def _once(name: str, kind: str = "bigint") -> str:
    """A setting that is read once a statement, not once a row; no plan may depend on its value."""
    return f"(SELECT current_setting('totes.{name}')::{kind})"
