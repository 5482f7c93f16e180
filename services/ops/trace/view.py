"""A trace in words, for a terminal of any width. Pure: a trace and a width in, lines out.

Invariant: everything a line leaves out (unchanged columns, without `full`) is in the JSON.
"""

import textwrap
from collections.abc import Iterable, Iterator

from pydantic import TypeAdapter

from contracts.messages import Operation
from services.ops.moments import shown
from services.ops.trace.timeline import Change, Entry, Load, Trace, Values

LABEL_CHARACTERS = 13
"""Width of the column of labels, its margin included."""
NULL = "NULL"
NARROWEST = 40


def lines(trace: Trace, width: int, *, full: bool) -> Iterator[str]:
    """All of it: a headline, an entry for each observation, what could not be read, and how it stands."""
    wide = max(width, NARROWEST)
    yield from _wrapped(_headline(trace), wide, "")
    for number, entry in enumerate(trace.entries, 1):
        yield ""
        yield from _wrapped(_title(number, entry), wide, "   ")
        for label, text in _parts(entry, full=full):
            yield from _part(f"   {label:<{LABEL_CHARACTERS - 3}}", text, wide)
    for note in trace.notes:
        yield ""
        yield from _wrapped(f"! {note}", wide, "  ")
    yield ""
    yield from _wrapped(trace.now, wide, "")


def as_json(trace: Trace) -> str:
    """All of it as one JSON object."""
    return TypeAdapter(Trace).dump_json(trace, indent=2).decode()


def _headline(trace: Trace) -> str:
    count = len(trace.entries)
    table = "archived only" if trace.star_table is None else trace.star_table
    return f"{trace.feed} {trace.key} ({table}): {count} observation{'' if count == 1 else 's'}, oldest first"


def _title(number: int, entry: Entry) -> str:
    word = "deleted" if entry.operation is Operation.DELETED else "row"
    by = "known only to the warehouse's books" if entry.origin is None else f"seen by {entry.origin}"
    return f"{number:>2} {shown(entry.as_of)}  {word}, {by}  (generation {entry.generation}, revision {entry.revision})"


def _part(label: str, text: str, width: int) -> Iterator[str]:
    """A line with its label. The name of an object that is too long for one begins a line of its own, to be copied."""
    folder, slash, name = text.rpartition("/date=")
    if slash and len(label + text) > width:
        day, _, name = name.partition("/")
        yield from _wrapped(f"{label}{folder}{slash}{day}/", width, " " * LABEL_CHARACTERS)
        yield from _wrapped(f"   {name}", width, "   ")
    else:
        yield from _wrapped(f"{label}{text}", width, " " * LABEL_CHARACTERS)


def _parts(entry: Entry, *, full: bool) -> Iterator[tuple[str, str]]:
    """Label and text of each line of an entry; what repeats itself is told once."""
    if entry.changes is not None and not full:
        yield "changed", _changed(entry.changes)
    elif entry.values:
        yield "row", _row(entry.values)
    if full and entry.changes is not None:
        yield "changed", _changed(entry.changes)
    if entry.batch is not None:
        yield "batch", entry.batch
        yield "archive", f"row {entry.row} of {entry.object}"
    for bad in entry.quarantined:
        yield "set apart", bad.object
    for replay in entry.replays:
        yield "then", f"{replay.became} (time {replay.replays})"
    if entry.load is not None:
        yield "loaded", _loaded(entry.load)
        if full:
            yield "as", entry.load.id
    yield "outcome", entry.outcome


def _loaded(load: Load) -> str:
    fresh = "" if load.freshness_seconds is None else f", at most {load.freshness_seconds:,.3f} s after it was written"
    return f"{shown(load.loaded_at)}{fresh}"


def _changed(changes: Iterable[Change]) -> str:
    told = "; ".join(f"{each.column} {_value(each.before)} → {_value(each.after)}" for each in changes)
    return told or "nothing: the same row was sent again"


def _row(values: Values) -> str:
    return "; ".join(f"{column} {_value(value)}" for column, value in values.items())


def _value(value: str | None) -> str:
    """Text with blanks or none at all in quotes, so that it can be told from its neighbours."""
    if value is None:
        return NULL
    return value if value and value != NULL and not set(value) & set(" ;→\n\t") else repr(value)


def _wrapped(text: str, width: int, indent: str) -> list[str]:
    """Lines no longer than the width; the name of an object is cut only where a line cannot hold it."""
    return textwrap.wrap(
        text, width, subsequent_indent=indent, break_on_hyphens=False, drop_whitespace=True, replace_whitespace=False
    ) or [""]
