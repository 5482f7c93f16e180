"""DSNs, TLS, connections and COPY, with every mistake in one sentence."""

import io
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pg8000.native import InterfaceError

from shared.errors import ConfigurationError, PipelineError, SourceUnavailable, Unavailable, WarehouseUnavailable
from shared.postgres import DatabaseError, Dsn, connect, copy_in, copy_out, driver_arguments, explain, identifier
from tests.e2e.servers import WHEEL_18, TcpServer, free_port

SECRET = "hunter2"


def session(dsn):
    return connect(Dsn.parse(dsn), application_name="totes-test", statement_timeout_seconds=5, lock_timeout_seconds=0.5)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://u:p@h:5433/d", Dsn("u", "h", 5433, "d", "p")),
        ("postgres://u@h/d", Dsn("u", "h", 5432, "d")),
        ("postgresql://u%40x:p%2F%3F%23%40%3A@h/d%20x", Dsn("u@x", "h", 5432, "d x", "p/?#@:")),
        ("postgresql://u@/d?host=/var/run&port=5433", Dsn("u", "/var/run", 5433, "d")),
        ("postgresql:///d?user=u&password=p", Dsn("u", "localhost", 5432, "d", "p")),
        ("postgresql://u@[::1]:5432/d", Dsn("u", "::1", 5432, "d")),
        (
            "postgresql://u@h/d?sslmode=verify-ca&sslrootcert=/ca.pem",
            Dsn("u", "h", 5432, "d", None, "verify-ca", "/ca.pem"),
        ),
        ("postgresql://u@h/d?application_name=x", Dsn("u", "h", 5432, "d")),
    ],
)
def test_a_dsn_says_who_where_and_how(text, expected):
    assert Dsn.parse(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", "totesys", "host=localhost dbname=totesys", f"mysql://u:{SECRET}@h/d", f"postgresql://u:{SECRET}@h",
        f"postgresql://:{SECRET}@h/d", f"postgresql://u:{SECRET}@h:port/d", f"postgresql://u:{SECRET}@h:99999/d",
        f"postgresql://u:{SECRET}@h/d?port=abc", f"postgresql://u:{SECRET}@h/d?port=70000",
        f"postgresql://u:{SECRET}@h/d?sslmode=allow", f"postgresql://u:{SECRET}@h/d?pool=3",
        f"postgresql://u:{SECRET}/x@h/d", f"postgresql://u:{SECRET}?x@h/d", f"postgresql://u:{SECRET}#x@h/d",
        f"postgresql://u:12/{SECRET}@h/d", f"postgresql://u:12?{SECRET}=1@h/d", f"postgresql://u:12#{SECRET}@h/d",
        f"postgresql://u:{SECRET}@[::1/d",
    ],
)  # fmt: skip
def test_a_bad_dsn_is_one_sentence_without_its_password(text):
    with pytest.raises(ConfigurationError, match="Expected ") as refused:
        Dsn.parse(text)

    told = f"{refused.value} {refused.value.__cause__}"
    assert "\n" not in told
    assert SECRET not in told


def test_a_dsn_never_shows_its_password():
    dsn = Dsn.parse(f"postgresql://u:{SECRET}@h:5433/d")

    assert SECRET not in repr(dsn)
    assert dsn.place == "h:5433/d"


def context_of(dsn):
    return driver_arguments(Dsn.parse(dsn), "test")["ssl_context"]


@pytest.mark.parametrize(
    "place", ["localhost", "127.0.0.1", "127.1.2.3", "[::1]"],
)  # fmt: skip
def test_nothing_on_this_machine_needs_tls(place):
    assert context_of(f"postgresql://u@{place}/d") is False
    assert context_of("postgresql://u@/d?host=/var/run") is False


@pytest.mark.parametrize("place", ["db.example.com", "10.0.0.1", "localhost.example.com", "127.0.0.1.example.com"])
def test_everything_else_gets_tls_with_a_checked_certificate_and_name(place):
    context = context_of(f"postgresql://u@{place}/d")

    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


@pytest.mark.parametrize(
    ("mode", "verify", "names"),
    [
        ("require", ssl.CERT_NONE, False),
        ("verify-ca", ssl.CERT_REQUIRED, False),
        ("verify-full", ssl.CERT_REQUIRED, True),
    ],
)
@pytest.mark.parametrize("place", ["localhost", "db.example.com"])
def test_an_explicit_sslmode_is_obeyed(place, mode, verify, names):
    context = context_of(f"postgresql://u@{place}/d?sslmode={mode}")

    assert (context.verify_mode, context.check_hostname) == (verify, names)
    assert context_of(f"postgresql://u@{place}/d?sslmode=disable") is False


def test_require_with_an_authority_checks_it_as_libpq_does(tmp_path):
    authority = tmp_path / "ca.pem"
    authority.write_bytes(certificate(ec.generate_private_key(ec.SECP256R1())))

    context = context_of(f"postgresql://u@h/d?sslmode=require&sslrootcert={authority}")

    assert context.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_an_authority_that_cannot_be_read_is_the_dsn_s_fault(tmp_path, content):
    authority = tmp_path / "ca.pem"
    if content is not None:
        authority.write_text(content)

    with pytest.raises(ConfigurationError, match=r"ca\.pem"):
        session(f"postgresql://u@h/d?sslrootcert={authority}")


def certificate(key) -> bytes:
    """A self-signed one for a stranger."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "stranger")])
    builder = x509.CertificateBuilder(issuer_name=name, subject_name=name, public_key=key.public_key(), serial_number=1)
    now = datetime.now(UTC)
    dated = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return dated.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


@contextmanager
def stranger(folder) -> Iterator[int]:
    """A server that speaks TLS with a certificate nobody signed; its port."""
    key = ec.generate_private_key(ec.SECP256R1())
    format_ = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (folder / "chain.pem").write_bytes(key.private_bytes(*format_) + certificate(key))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "chain.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_once, args=(listener, context))
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def answer_once(listener, context) -> None:
    found, _ = listener.accept()
    with found:
        found.recv(8)
        found.sendall(b"S")
        try:
            context.wrap_socket(found, server_side=True).close()
        except (ssl.SSLError, ConnectionError):
            return


def test_a_certificate_nobody_signed_is_refused_in_words(tmp_path):
    with stranger(tmp_path) as port, pytest.raises(ConfigurationError, match="sslrootcert") as refused:
        session(f"postgresql://u:{SECRET}@127.0.0.1:{port}/d?sslmode=verify-full")

    assert f"127.0.0.1:{port}/d" in str(refused.value)


@pytest.fixture(scope="module")
def tcp_server(tmp_path_factory) -> Iterator[TcpServer]:
    with TcpServer(WHEEL_18, tmp_path_factory.mktemp("tcp") / "server") as running:
        yield running


def test_a_server_that_is_not_there_is_unavailable():
    port = free_port()

    with pytest.raises(Unavailable, match=f"Expected a Postgres server at 127.0.0.1:{port}/d") as refused:
        session(f"postgresql://u:{SECRET}@127.0.0.1:{port}/d")

    assert SECRET not in str(refused.value)
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize("dsn", ["postgresql://u@nowhere.invalid/d?sslmode=disable", "postgresql://u@/d?host=/nowhere"])
def test_a_host_or_socket_that_does_not_exist_is_unavailable(dsn):
    with pytest.raises(Unavailable, match="nowhere"):
        session(dsn)


@pytest.mark.parametrize("password", [f"{SECRET}", ""])
def test_a_wrong_or_missing_password_is_a_setting_to_mend(tcp_server, password):
    dsn = f"postgresql://postgres:{password}@127.0.0.1:{tcp_server.port}/postgres"

    with pytest.raises(ConfigurationError) as refused:
        session(dsn)

    assert "postgres" in str(refused.value)
    assert SECRET not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_server_without_tls_is_not_spoken_to_where_tls_is_demanded(tcp_server):
    with pytest.raises(Unavailable, match="SSL"):
        session(tcp_server.dsn("postgres") + "?sslmode=require")


def test_the_right_password_opens_a_session(tcp_server):
    with session(tcp_server.dsn("postgres")) as connection:
        assert connection.run("SELECT 1") == [[1]]


def test_a_missing_database_is_a_setting_to_mend(server):
    with pytest.raises(ConfigurationError, match="no such database"):
        session(server.dsn("nowhere"))


def test_an_error_that_was_being_handled_is_not_taken_for_the_refusal(server):
    with session(server.dsn("postgres")) as connection:
        earlier = failure_of(connection, "SELECT 1 / 0")

    try:
        raise earlier
    except DatabaseError:
        with pytest.raises(Unavailable, match="could not reach it"):
            session("postgresql://u@/d?host=/nowhere")


def test_a_session_has_the_settings_every_reader_relies_on(new_database):
    with session(new_database("any")) as connection:
        names = ("TimeZone", "DateStyle", "statement_timeout", "lock_timeout", "application_name", "client_encoding")
        found = {name: connection.run(f"SHOW {name}")[0][0] for name in names}

        assert connection._usock.gettimeout() is None

    assert found == {
        "TimeZone": "UTC", "DateStyle": "ISO, YMD", "statement_timeout": "5s", "lock_timeout": "500ms",
        "application_name": "totes-test", "client_encoding": "UTF8",
    }  # fmt: skip


def failure_of(connection, sql):
    with pytest.raises(DatabaseError) as failed:
        connection.run(sql)
    return failed.value


def test_a_missing_privilege_names_the_login_and_is_a_setting_to_mend(totesys):
    with totesys.connect() as owner:
        owner.run("REVOKE SELECT ON payment FROM totes_reader")
    with session(totesys.reader_dsn) as reader:
        failure = failure_of(reader, "SELECT * FROM payment")

    with pytest.raises(ConfigurationError, match=r"totes_reader.* lacks a privilege") as told:
        explain(failure, "here", "totes_reader")
    assert "payment" in str(told.value)


@pytest.mark.parametrize(
    ("sql", "error"),
    [
        ("SELECT pg_sleep(10)", Unavailable),
        ("SELECT * FROM nowhere.at_all", PipelineError),
        ("SELECT 1 / 0", PipelineError),
        ("SET TRANSACTION READ ONLY; CREATE TABLE t ()", Unavailable),
        ("CREATE TABLE nowhere.t ()", ConfigurationError),
    ],
)
def test_each_sqlstate_has_its_class(new_database, sql, error):
    with session(new_database("any")) as connection:
        connection.run("SET statement_timeout = 50")
        failure = failure_of(connection, sql)

    with pytest.raises(error) as told:
        explain(failure, "here")
    assert type(told.value) is error
    assert told.value.__cause__ is failure


def test_a_lock_held_by_another_passes(new_database):
    dsn = new_database("any")
    with session(dsn) as holder, session(dsn) as waiter:
        holder.run("CREATE TABLE t ()")
        holder.run("BEGIN")
        holder.run("LOCK TABLE t")
        failure = failure_of(waiter, "SELECT * FROM t")

    with pytest.raises(WarehouseUnavailable, match="55P03"):
        explain(failure, "here", unavailable=WarehouseUnavailable)


def test_a_connection_that_the_server_ends_passes(new_database, server):
    connection = session(new_database("any"))
    with server.connect() as other:
        other.run("SELECT pg_terminate_backend(:pid, 5000)", pid=connection.run("SELECT pg_backend_pid()")[0][0])
    with pytest.raises((DatabaseError, InterfaceError, OSError)) as failed:
        connection.run("SELECT 1")
    with suppress(InterfaceError, OSError):
        connection.close()

    with pytest.raises(SourceUnavailable):
        explain(failed.value, "here", unavailable=SourceUnavailable)


def test_an_error_in_words_already_is_passed_on():
    error = ConfigurationError("Expected this, found that.")

    with pytest.raises(ConfigurationError) as passed_on:
        explain(error, "here")
    assert passed_on.value is error


def test_rows_are_copied_in_and_out_to_the_letter(new_database):
    rows = [b"1\tO'Keefe\n", b"2\t\\N\n", b"3\t\n", b"4\t\\\\N\n", "5\t👜\\n\n".encode()]
    written = io.BytesIO()

    with session(new_database("any")) as connection:
        connection.run("CREATE TABLE said (number int, words text)")
        taken = copy_in(connection, "COPY said FROM STDIN", [rows[0] + rows[1], b"".join(rows[2:])])
        given = copy_out(connection, "COPY (SELECT * FROM said ORDER BY number) TO STDOUT", written)

    assert (taken, given) == (5, 5)
    assert written.getvalue() == b"".join(rows)


def test_an_empty_copy_counts_nothing(new_database):
    with session(new_database("any")) as connection:
        connection.run("CREATE TABLE said (words text)")

        assert copy_in(connection, "COPY said FROM STDIN", []) == 0
        assert copy_out(connection, "COPY said TO STDOUT", io.BytesIO()) == 0


def test_a_hostile_name_stays_a_name(new_database):
    hostile = 'x"; DROP TABLE said; --'

    with session(new_database("any")) as connection:
        connection.run("CREATE TABLE said ()")
        connection.run(f"CREATE TABLE {identifier(hostile)} ()")

        assert connection.run("SELECT to_regclass('said')") == [["said"]]
