"""Settings, secrets and logs."""

import json

import pytest
from botocore.exceptions import EndpointConnectionError
from pydantic import ValidationError

from services.local.settings import CommandSettings
from shared.errors import ConfigurationError, PipelineError, Unavailable
from shared.secrets import Secrets
from shared.settings import Settings
from shared.telemetry import logger


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("TOTES_PAGE_ROWS", "500")
    monkeypatch.setenv("TOTES_ARCHIVE_BUCKET", "raw")

    found = Settings.from_environment()

    assert (found.page_rows, found.archive_bucket) == (500, "raw")


def test_the_command_reads_an_env_file_too_and_the_environment_wins_over_it(monkeypatch, tmp_path):
    (tmp_path / ".env").write_text("TOTES_PAGE_ROWS=1\nTOTES_LOG_LEVEL=DEBUG\nOTHER=x\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TOTES_PAGE_ROWS", "2")

    found = CommandSettings()

    assert (found.page_rows, found.log_level) == (2, "DEBUG")
    assert isinstance(found, Settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PAGE_ROWS", "0"),
        ("POLL_INTERVAL_SECONDS", "-1"),
        ("SCAN_SHARE", "2"),
        ("COMPRESSION_LEVEL", "10"),
        ("PAGE_ROWS", "many"),
    ],
)
def test_a_setting_that_makes_no_sense_is_refused(monkeypatch, name, value):
    monkeypatch.setenv(f"TOTES_{name}", value)

    with pytest.raises((ValidationError, ConfigurationError)):
        Settings.from_environment()


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_says_what_it_is_and_every_number_its_unit(name):
    field = Settings.model_fields[name]

    assert field.description
    assert field.description.endswith(".")
    units = ("_seconds", "_rows", "_turn", "_share", "_level")
    assert not isinstance(field.default, int | float) or name.endswith(units)


def test_a_secret_is_read_once_and_again_after_it_was_refused(aws):
    aws.secrets.create_secret(Name="totes/source", SecretString="first")
    secrets = Secrets(aws.secrets)
    before = secrets.get("totes/source")

    aws.secrets.put_secret_value(SecretId="totes/source", SecretString="second")
    unaware = secrets.get("totes/source")
    secrets.forget("totes/source")
    secrets.forget("never known")

    assert (before, unaware, secrets.get("totes/source")) == ("first", "first", "second")


def test_a_missing_secret_says_what_to_do(aws):
    with pytest.raises(ConfigurationError, match=r"'totes/source'.*create it"):
        Secrets(aws.secrets).get("totes/source")


def test_a_secret_that_cannot_be_read_now_may_be_read_later(aws):
    class Deaf:
        exceptions = aws.secrets.exceptions

        def get_secret_value(self, **arguments):
            raise EndpointConnectionError(endpoint_url="https://secrets")

    with pytest.raises(Unavailable, match="totes/source"):
        Secrets(Deaf()).get("totes/source")


def test_a_log_line_is_one_json_object(capsys):
    # A name of this test's own: Powertools keeps a service's handler, and with it the stream it first wrote to.
    logger("one-line", "INFO").info("transformed", batch="payment/g1", rows=3)

    line = json.loads(capsys.readouterr().out)
    assert (line["service"], line["message"], line["batch"], line["rows"]) == (
        "one-line",
        "transformed",
        "payment/g1",
        3,
    )


def test_every_error_of_ours_is_one_family():
    from shared import errors

    found = [kind for kind in vars(errors).values() if isinstance(kind, type)]
    assert all(issubclass(kind, PipelineError) and kind.__doc__ for kind in found)
    classes = [kind.reason_class for kind in found if issubclass(kind, errors.ContractViolation)]
    assert len(classes) == len(set(classes))
