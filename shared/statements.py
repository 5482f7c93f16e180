"""Statements whose placeholders are found once, not at every run.

pg8000 looks for placeholders character by character, 0.8 ms of our time for one COPY of a feed: at a poll every quarter
of a second that was a fourth of all that the poller did. The pipeline has few texts: its SQL is constant.
Invariant: what is sent is what pg8000 alone would send.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

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
        self._context = self.execute_unnamed(text, values(parameters), stream=stream)
        return self._context.rows


@lru_cache(MOST_TEXTS)
def read(sql: str) -> tuple[str, Callable[[Mapping[str, Any]], tuple[Any, ...]]]:
    """The text as Postgres takes it, and what puts named values into its order."""
    text, values = to_statement(sql)
    return text, values
