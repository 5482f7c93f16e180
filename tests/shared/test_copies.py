"""COPY by the buffer gives what COPY by the row gives, however messages are cut, and fails where it fails."""

import socket
import ssl
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from struct import pack
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pg8000.native import Connection, DatabaseError, InterfaceError

from shared.copies import BUFFER_BYTES, BufferedConnection, Stream
from shared.postgres import Dsn, connect, copy_out, hang_up
from tests.conftest import NewDatabase
from tests.shared.test_postgres import certificate


def message(code: bytes, body: bytes = b"") -> bytes:
    return code + pack("!i", len(body) + 4) + body


READY = message(b"Z", b"T")
GREETING = message(b"R", pack("!i", 0)) + READY
BINDING = b"".join((message(b"1"), READY, message(b"n"), READY, message(b"2")))
COPYING_TEXT, COPYING_BINARY = (BINDING + message(b"H", kind + b"\0\0") for kind in (b"\0", b"\1"))
COPIED = message(b"c") + message(b"C", b"COPY 7\0") + READY
NOTICE = message(b"N", b"SNOTICE\0Mhere\0\0")
CANCELED = message(b"E", b"SERROR\0C57014\0Mcanceled\0\0") + READY


@dataclass
class Kept:
    """A sink that keeps everything."""

    rows: list[bytes] = field(default_factory=list)
    calls: int = 0

    def writelines(self, rows: Sequence[bytes], /) -> None:
        self.rows += rows
        self.calls += 1


def copied(kind: type[Connection], said: Sequence[bytes]) -> tuple[Any, ...]:
    """What comes of a COPY where a server says this, in these pieces: rows, their number, notices, error."""
    ours, theirs = socket.socketpair()
    server = threading.Thread(target=say, args=(theirs, said))
    server.start()
    kept, connection = Kept(), kind(user="any", host=None, sock=ours, ssl_context=False)
    try:
        connection.run("COPY it TO STDOUT", stream=Stream(kept))
        error = None
    except (DatabaseError, InterfaceError) as exc:
        error = exc
    finally:
        ours.shutdown(socket.SHUT_RDWR)
        hang_up(connection)
        server.join()
    return kept.rows, connection.row_count, list(connection.notices), repr(error)


def say(to: socket.socket, said: Sequence[bytes]) -> None:
    """A server's part: it speaks when it is spoken to, and listens until the client is gone."""
    with to, suppress(OSError):
        to.recv(1000)
        to.sendall(GREETING)
        to.recv(1000)
        for piece in said:
            to.sendall(piece)
        to.shutdown(socket.SHUT_WR)
        while to.recv(1000):
            pass


LONG = 2**16
TEXT = st.sampled_from(
    [b"", b"\n", b"d", b"d" * 9, b"d\nd", *(b"x" * (LONG + more) for more in (-5, -4, -3, BUFFER_BYTES))]
)
TEXTS = TEXT | st.binary(max_size=40).map(lambda row: row.replace(b"\0", b"0"))
BYTES = TEXTS | st.binary(max_size=40) | st.sampled_from([b"\0\0\0\4", b"d\0\0\0\5" * 60_000, b"d\0\0\0\5\n"])
NOTICES = st.sampled_from([NOTICE, message(b"N", b"Sd\0Md\0\0\0\6here\0\0")])
END = st.sampled_from([COPIED, CANCELED, b"", message(b"d", b"lost")[:-1], b"d\0\0"])


def parts_of(rows: st.SearchStrategy[bytes]) -> st.SearchStrategy[list[bytes]]:
    """What a server says between the beginning and the end of a COPY."""
    return st.lists(rows.map(lambda row: message(b"d", row)) | NOTICES, max_size=12)


@settings(deadline=None)
@given(
    said=parts_of(TEXTS).map(lambda parts: (COPYING_TEXT, parts))
    | parts_of(BYTES).map(lambda parts: (COPYING_BINARY, parts)),
    end=END,
    cuts=st.lists(st.integers(0, 600), max_size=6),
)
@example(said=(COPYING_TEXT, [message(b"d", b"a"), NOTICE, message(b"d", b"b")]), end=COPIED, cuts=[])
@example(said=(COPYING_TEXT, [message(b"d", b"a")]), end=CANCELED, cuts=[])
@example(said=(COPYING_TEXT, [message(b"d", b"x" * size) for size in (1, LONG - 5, LONG - 4, 1)]), end=COPIED, cuts=[])
@example(said=(COPYING_BINARY, [message(b"d", row) for row in (b"a", b"d\0\0\0\5\n", b"b")]), end=COPIED, cuts=[])
def test_copy_by_the_buffer_is_copy_by_the_row(said: tuple[bytes, list[bytes]], end: bytes, cuts: list[int]):
    beginning, parts = said
    whole = beginning + b"".join(parts) + end
    places = [0, *sorted({place for place in cuts if 0 < place < len(whole)}), len(whole)]
    pieces = [whole[start:stop] for start, stop in pairwise(places)]

    assert copied(BufferedConnection, pieces) == copied(Connection, pieces)


class Impatient(BufferedConnection):
    """Counts how often rows are let gather, and does not wait for them."""

    gathered = 0

    def _gather(self) -> None:
        self.gathered += 1


def test_over_tls_no_read_waits_for_rows_that_it_could_not_take(tmp_path: Path):
    ours, theirs = socket.socketpair()
    rows = [b"x" * 8_000 for _ in range(100)]
    said = [COPYING_TEXT, *(message(b"d", row) for row in rows), COPIED]
    server = threading.Thread(target=say_by_tls, args=(theirs, chain(tmp_path), said))
    server.start()
    kept, trusting = Kept(), ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    connection = Impatient(user="any", host=None, sock=ours, ssl_context=trusting)

    connection.run("COPY it TO STDOUT", stream=Stream(kept))
    hang_up(connection)
    server.join()

    assert kept.rows == rows
    assert connection.gathered == 0


def chain(folder: Path) -> ssl.SSLContext:
    """A server's part of TLS, with a certificate of its own."""
    key = ec.generate_private_key(ec.SECP256R1())
    private = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "chain.pem").write_bytes(key.private_bytes(*private) + certificate(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    return context


def say_by_tls(to: socket.socket, context: ssl.SSLContext, said: Sequence[bytes]) -> None:
    """A server's part behind a handshake."""
    to.recv(8)
    to.sendall(b"S")
    with suppress(OSError), context.wrap_socket(to, server_side=True) as wrapped:
        wrapped.recv(1000)
        wrapped.sendall(GREETING)
        wrapped.recv(1000)
        for piece in said:
            wrapped.sendall(piece)
        wrapped.recv(1000)


@pytest.mark.parametrize("columns", ["number", "number, repeat('x', 300000)"])
def test_many_rows_come_in_few_calls_and_in_their_order(new_database: NewDatabase, columns: str):
    kept = Kept()
    text = f"COPY (SELECT {columns} FROM generate_series(1, 5000) AS number WHERE number < 5000) TO STDOUT"

    with open_session(new_database("any")) as connection:
        assert copy_out(connection, text.replace("5000", "50") if "repeat" in text else text, kept)
        assert connection.run("SELECT 1") == [[1]]

    numbers = [int(row.split(b"\t")[0]) for row in kept.rows]
    assert numbers == list(range(1, len(numbers) + 1))
    assert "repeat" in text or kept.calls < len(numbers) / 10


def test_an_error_behind_many_rows_leaves_a_session_that_answers(new_database: NewDatabase):
    kept = Kept()

    with open_session(new_database("any")) as connection:
        with pytest.raises(DatabaseError, match="division by zero"):
            copy_out(connection, "COPY (SELECT 1 / (3000 - n) FROM generate_series(1, 3000) n) TO STDOUT", kept)
        assert connection.run("SELECT 1") == [[1]]

    assert len(kept.rows) == 2999


def open_session(dsn: str) -> Connection:
    return connect(Dsn.parse(dsn), application_name="test", statement_timeout_seconds=60, lock_timeout_seconds=2)
