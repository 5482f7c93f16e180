"""What is typed, what is answered, and the exit code."""

import errno
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import pytest
import typer
from typer.testing import CliRunner, Result

from services.ops.cli import Sentences, app
from services.ops.options import UpOptions
from services.ops.preflight import NotFit
from shared.errors import ConfigurationError, PipelineError, WarehouseUnavailable
from tests.conftest import READER, Source, open_connection
from tests.ops.conftest import OwnServer

TOTES = Path(sys.executable).with_name("totes")


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` and no stack of the developer's; wide enough that no line is broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")


def totes(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, prog_name="totes")


def words(result: Result) -> str:
    """The help as its words, without frames."""
    return re.sub(r"[\s│╭╮╰╯─]+", " ", result.stdout)


def test_the_version_is_the_packages() -> None:
    result = totes("--version")

    assert (result.exit_code, result.stdout) == (0, "totes 0.1.0\n")


def test_help_names_every_command_and_what_the_exit_codes_mean() -> None:
    found = words(totes("--help"))

    assert all(f" {command} " in found for command in ("up", "status", "down", "migrate"))
    assert "Exit codes: 0 done; 1 source or warehouse not fit" in found


def test_help_of_up_documents_every_option_with_its_variable_and_default() -> None:
    found = words(totes("up", "--help"))

    assert all(f"TOTES_{name.upper()}" in found for name in UpOptions.model_fields)
    assert "in seconds. (TOTES_POLL_INTERVAL_SECONDS; default 0.5)" in found


def test_help_answers_at_once_because_nothing_heavy_is_imported() -> None:
    code = "import sys, services.ops.cli; print(sorted({'boto3', 'pandas', 'numpy', 'sqlalchemy'} & set(sys.modules)))"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout == "[]\n"


def test_a_command_that_is_not_known_is_a_usage_error() -> None:
    assert totes("fly").exit_code == 2


def test_an_option_of_another_type_is_a_usage_error_in_words() -> None:
    result = totes("up", "--seconds", "soon")

    assert result.exit_code == 2
    assert "Invalid value for '--seconds'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--simulate", "3", "--no-simulate"), "Expected --simulate or --no-simulate, found both."),
        (("--source", "postgresql://reader@db/totesys", "--simulate", "3"), "nothing is simulated in a source"),
        (("--source", "mysql://reader@db/totesys"), "found the scheme 'mysql'"),
        (("--time-zone", "Mars"), "expected an IANA time zone such as Europe/London, found 'Mars'"),
        (("--reconcile-interval", "61"), "Expected a reconcile interval of whole minutes"),
    ],
)
def test_wrong_options_are_said_in_one_sentence_on_stderr(arguments: tuple[str, ...], sentence: str) -> None:
    result = totes("up", *arguments)

    assert result.exit_code == 2
    assert sentence in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_source_that_does_not_answer_is_one_sentence_and_nothing_is_started(tmp_path: Path) -> None:
    result = totes("up", "--source", "postgresql://reader:hush@127.0.0.1:1/totesys", "--state-dir", str(tmp_path / "s"))

    assert result.exit_code == 1
    assert result.stderr.startswith("source: Expected a Postgres server at 127.0.0.1:1/totesys and could not reach it")
    assert result.stderr.count("\n") == 1
    assert "hush" not in result.output
    assert not (tmp_path / "s").exists()


def test_a_wrong_password_is_one_sentence(asking_server: OwnServer) -> None:
    result = totes("up", "--source", asking_server.dsn("postgres", password="hush"))

    assert result.exit_code == 1
    assert "was refused" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_source_in_recovery_is_refused(standby: OwnServer) -> None:
    result = totes("up", "--source", standby.dsn("postgres"))

    assert result.exit_code == 1
    assert "in recovery" in result.stderr


def test_everything_that_is_not_fit_is_listed_at_once(totesys: Source) -> None:
    with totesys.connect() as owner:
        owner.run(f"REVOKE SELECT ON payment FROM {READER}")
        owner.run("DROP TABLE purchase_order CASCADE")

    result = totes("up", "--source", totesys.reader_dsn, "--warehouse", totesys.reader_dsn)

    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 4
    for words in ("may not read public.payment", "public.purchase_order", "may not create the schema 'warehouse'"):
        assert words in result.stderr


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_the_status_of_nothing_is_one_sentence(arguments: tuple[str, ...]) -> None:
    result = totes("status", *arguments)

    assert result.exit_code == 3
    assert result.stdout == ""
    assert result.stderr.startswith("Expected a running stack in .totes and found none")
    assert result.stderr.count("\n") == 1


def test_down_with_nothing_to_end_says_so() -> None:
    result = totes("down")

    assert (result.exit_code, result.stdout) == (0, "Nothing of a stack in .totes was running.\n")


def test_migrate_makes_the_star_schema_and_a_second_time_nothing(new_database: Callable[[str], str]) -> None:
    dsn = new_database("warehouse")

    first = totes("migrate", "--warehouse", dsn, "--schema", "team_a", "--analyst-role", READER)
    second = totes("migrate", "--warehouse", dsn, "--schema", "team_a")

    assert first.stdout.startswith("The schema team_a is up to date: applied 0001")
    assert second.stdout == "The schema team_a is up to date: nothing was left to apply.\n"
    with open_connection(dsn.replace("postgres@", f"{READER}@")) as analyst:
        assert analyst.run("SELECT count(*) FROM team_a.fact_payment") == [[0]]


def test_migrate_without_a_warehouse_asks_for_one() -> None:
    result = totes("migrate")

    assert result.exit_code == 2
    assert "name it with --warehouse or TOTES_WAREHOUSE_DSN" in result.stderr


def test_migrate_with_a_role_that_is_not_there_says_so(new_database: Callable[[str], str]) -> None:
    result = totes("migrate", "--warehouse", new_database("warehouse"), "--loader-role", "nobody_here")

    assert result.exit_code == 2
    assert "nobody_here" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_warehouse_that_is_away_cannot_be_migrated() -> None:
    assert totes("migrate", "--warehouse", "postgresql://owner@127.0.0.1:1/warehouse").exit_code == 3


def raising(error: BaseException) -> Result:
    """What a command that raises this ends with."""
    failing = typer.Typer(cls=Sentences)

    @failing.callback()
    def group() -> None:
        """Make it a group."""

    @failing.command()
    def fail(_unused: Annotated[str, typer.Option()] = "") -> Any:
        raise error

    return CliRunner().invoke(failing, ["fail"])


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFit("Why."), 1),
        (PipelineError("Why."), 1),
        (ConfigurationError("Why."), 2),
        (WarehouseUnavailable("Why."), 3),
    ],
)
def test_an_error_of_the_pipeline_is_its_own_sentence_and_its_class_the_exit_code(error: Exception, code: int) -> None:
    result = raising(error)

    assert (result.exit_code, result.stderr, result.stdout) == (code, "Why.\n", "")


def test_an_error_nobody_meant_keeps_its_traceback_in_a_file_that_is_named() -> None:
    result = raising(ZeroDivisionError("hush"))

    [log] = re.findall(r"see (\S+\.log)\.", result.stderr)
    text = Path(log).read_text()
    Path(log).unlink()
    assert result.exit_code == 70
    assert result.stderr.count("\n") == 1
    assert "Traceback" in text
    assert "ZeroDivisionError: hush" in text


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_is_no_mistake_of_ours(number: int) -> None:
    result = raising(OSError(number, "No space left on device", "/state/aws.log"))

    assert result.exit_code == 3
    assert result.stderr.startswith("The disk is full (/state/aws.log): make room")


def test_breaking_off_is_said_and_has_the_shells_exit_code() -> None:
    result = raising(KeyboardInterrupt())

    assert (result.exit_code, result.stderr) == (130, "Broken off; nothing of it is left running.\n")


def test_the_script_is_installed_and_runs_the_command() -> None:
    found = subprocess.run([TOTES, "--version"], capture_output=True, text=True, check=True)

    assert found.stdout == "totes 0.1.0\n"
