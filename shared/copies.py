"""COPY out of Postgres by the buffer, not by the row.

pg8000 reads each message with two reads and a call through its table, which for COPY is a message a row and costs as
much as all that is done with the rows. Here its own loop still reads every message, so errors, notices and a lost
server are its to handle as ever; behind each row, the rows that already lie whole in its buffer are taken as well.
Invariant: a sink is given exactly the rows that pg8000 alone would give, in their order.

A message of COPY is `d`, four bytes of its length, and a row. No text of Postgres holds a zero byte (its encodings have
none, and the server refuses them), so that in text `d`, two zero bytes and any two more are the head of a row shorter
than 64 KiB and nothing else; all heads of a buffer are found at once. Where a zero byte is left over, longer rows or
other messages are among them, and COPY in binary holds any byte: there each message is measured in its turn.
"""

import re
import time
from collections.abc import Sequence
from ssl import SSLSocket
from struct import Struct
from typing import Any, Protocol

from shared.statements import RememberingConnection

BUFFER_BYTES = 256 * 1024
"""What a Unix socket holds at most, and some 2,000 rows of an order; pg8000's own 8 KiB is one write of the server."""
GATHER_SECONDS = 0.002
"""How long to let rows gather where the last read found the buffer less than half full: a server writes 8 KiB at a
time, and each of its writes would wake us for some 60 rows. It fills less than half of its socket meanwhile, so it
never waits for us; and an answer that comes in one write or two is not kept waiting either. Not so over TLS: there a
read gives one write of the server, however many lie there."""
_COPY_DATA = ord("d")
_HEAD = Struct("!Bi")
"""A message's code and its length, which counts itself but not the code."""
_SHORT = b"d\0\0"
_SHORT_HEADS = re.compile(_SHORT + b"..", re.DOTALL)
"""The heads of rows shorter than 64 KiB, in text."""


class Sink(Protocol):
    """Takes COPY's output, many rows a call; any binary file is one."""

    def writelines(self, rows: Sequence[bytes], /) -> object:
        """Take rows, each with its newline."""


class Stream:
    """A sink as pg8000 wants it: with a call for one row, which a connection of its own class makes."""

    binary = False
    """Whether what comes is no text."""

    def __init__(self, sink: Sink) -> None:
        """Take the sink."""
        self.writelines = sink.writelines

    def write(self, row: bytes, /) -> None:
        """Take one row."""
        self.writelines([row])


class BufferedConnection(RememberingConnection):
    """pg8000's connection, but COPY's rows come many at a time."""

    def __init__(self, **arguments: Any) -> None:
        """Connect as pg8000 does. Nothing was asked yet, so its small buffer is empty and may be exchanged."""
        super().__init__(**arguments)
        self._sock = self._usock.makefile("rwb", BUFFER_BYTES)
        self._read_early = False
        self._reads_all = not isinstance(self._usock, SSLSocket)

    def handle_COPY_OUT_RESPONSE(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000 calls it by this name
        """Begin a COPY; its first byte tells whether text follows."""
        super().handle_COPY_OUT_RESPONSE(data, context)
        self._read_early = False
        if isinstance(context.stream, Stream):
            context.stream.binary = data[0] != 0

    def handle_COPY_DATA(self, data: bytes, context: Any) -> None:  # noqa: N802 - pg8000 calls it by this name
        """Give a row to the stream, with those that are there already."""
        if isinstance(context.stream, Stream):
            context.stream.writelines([data, *self._rows_ahead(binary=context.stream.binary)])
        else:
            super().handle_COPY_DATA(data, context)

    def _gather(self) -> None:
        time.sleep(GATHER_SECONDS)

    def _rows_ahead(self, *, binary: bool) -> list[bytes]:
        """The rows that lie whole in the buffer before anything else does; reads once where the buffer is empty."""
        if self._read_early:
            self._gather()
        held = self._sock.peek()
        self._read_early = self._reads_all and len(held) < BUFFER_BYTES / 2
        rows, end = (None if binary else _short_rows(held)) or _any_rows(held)
        self._sock.read(end)
        return rows


def _short_rows(held: bytes) -> tuple[list[bytes], int] | None:
    """The whole rows of text that a buffer begins with, and where they end; None unless short rows are all it holds."""
    if not held.startswith(_SHORT):
        return None
    last = held.rfind(_SHORT)
    rows = _SHORT_HEADS.split(held[:last])[1:]
    if b"\0" in b"".join(rows):
        return None
    last_row, length = _any_rows(held[last:])
    return rows + last_row, last + length


def _any_rows(held: bytes) -> tuple[list[bytes], int]:
    """The same of whatever bytes and length, message by message."""
    rows, at = [], 0
    # One turn a row: what it uses is looked up before.
    unpack, head, size = _HEAD.unpack_from, _HEAD.size, len(held)
    while at + head <= size:
        code, length = unpack(held, at)
        end = at + 1 + length
        if code != _COPY_DATA or end > size:
            break
        rows.append(held[at + head : end])
        at = end
    return rows, at
