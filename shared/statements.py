"""Statements with parameters, read once and run in one round trip.

pg8000 looks for placeholders at every run, character by character: 0.8 ms for one COPY of a feed, at a poll every
quarter of a second a fourth of all that the poller did. The pipeline has few texts: its SQL is constant. Then pg8000
asks three times (parse; describe and bind; execute) and waits for each answer, where the protocol takes all at once.
Invariant: answers and errors are those of pg8000 alone; its own loop reads every message. COPY goes its way.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from pg8000.core import NULL_BYTE, SYNC_MSG, Context, _flush, _write, make_params
from pg8000.native import Connection, to_statement

MOST_TEXTS = 512
"""Kept; many times the feeds and star tables by the statements of each. A COPY's is 1 KB long."""


class RememberingConnection(Connection):  # type: ignore[misc]  # pg8000 has no types
    """pg8000's connection, with a memory for the texts it has read."""

    def run(self, sql: str, stream: Any = None, types: Any = None, **parameters: Any) -> Any:
        """Run a statement as pg8000 does."""
        if types is not None or (stream is None and not parameters):
            return super().run(sql, stream, types, **parameters)
        text, values = read(sql)
        if stream is None:
            self._context = self._execute_at_once(text, values(parameters))
        else:
            self._context = self.execute_unnamed(text, values(parameters), stream=stream)
        return self._context.rows

    def _execute_at_once(self, text: str, values: tuple[Any, ...]) -> Context:
        """After an error Postgres passes over the rest, up to the one message that ends it."""
        context = Context(text)
        parameters = make_params(self.py_types, values)
        self.send_PARSE(NULL_BYTE, text)
        self.send_DESCRIBE_STATEMENT(NULL_BYTE)
        self.send_BIND(NULL_BYTE, parameters)
        self.send_EXECUTE()
        _write(self._sock, SYNC_MSG)
        _flush(self._sock)
        self.handle_messages(context)
        return context


@lru_cache(MOST_TEXTS)
def read(sql: str) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """The text as Postgres takes it, and what puts named values into its order."""
    text, values = to_statement(sql)
    return text, values
