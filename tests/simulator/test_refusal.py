"""What a server says when it refuses a connection is heard, even if it hangs up before we can say goodbye."""

import socket
import threading

import pytest

from services.local.simulator.apply import open_connection
from shared.errors import ConfigurationError, Unavailable
from shared.postgres import DatabaseError, Dsn


def error_message(state: str, text: str) -> bytes:
    fields = b"".join(mark + value.encode() + b"\0" for mark, value in ((b"C", state), (b"M", text))) + b"\0"
    return b"E" + (len(fields) + 4).to_bytes(4, "big") + fields


@pytest.fixture
def refusing(tmp_path):
    """A server that refuses the first login, deaf to anything said after."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(tmp_path / ".s.PGSQL.5432"))
        listening.listen()

        def refuse():
            client, _ = listening.accept()
            with client:
                client.recv(1024)
                client.shutdown(socket.SHUT_RD)
                client.sendall(error_message("3D000", "no such thing"))

        thread = threading.Thread(target=refuse)
        thread.start()
        yield Dsn.parse(f"postgresql://a@/b?host={tmp_path}")
        thread.join()


def test_a_refusal_is_heard_though_the_server_hung_up(refusing):
    with pytest.raises(ConfigurationError, match="no such thing"):
        open_connection(refusing)


def test_an_error_that_was_being_handled_before_is_not_taken_for_a_refusal(tmp_path):
    def reconnect():
        try:
            raise DatabaseError({"C": "3D000", "M": "an old story"})
        except DatabaseError:
            open_connection(Dsn.parse(f"postgresql://a@/b?host={tmp_path}"))

    with pytest.raises(Unavailable, match="No such file"):
        reconnect()
