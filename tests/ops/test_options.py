"""An option, its variable and its default are one thing; a wrong one is said in one sentence."""

from pathlib import Path

import pytest

from services.ops.options import SIMULATE_CHANGES_PER_SECOND, UpOptions, described
from shared.errors import ConfigurationError


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No `.env` of the developer's."""
    monkeypatch.chdir(tmp_path)


def test_an_option_wins_over_its_variable_and_the_variable_over_the_env_file(monkeypatch: pytest.MonkeyPatch) -> None:
    Path(".env").write_text("TOTES_POLL_INTERVAL_SECONDS=3\nTOTES_SEED=3\nTOTES_ORDERS=3\n")
    monkeypatch.setenv("TOTES_POLL_INTERVAL_SECONDS", "2")
    monkeypatch.setenv("TOTES_SEED", "2")

    options = UpOptions.of(poll_interval_seconds=1.0, seed=None)

    assert (options.poll_interval_seconds, options.seed, options.orders) == (1.0, 2, 3)


def test_the_embedded_stack_polls_twice_a_second_and_reconciles_every_five_minutes() -> None:
    options = UpOptions.of()

    assert (options.poll_interval_seconds, options.reconcile_interval_seconds) == (0.5, 300.0)
    assert options.changes_per_second == SIMULATE_CHANGES_PER_SECOND == 5.0


def test_nothing_is_simulated_in_a_source_that_is_named() -> None:
    assert UpOptions.of(source_dsn="postgresql://reader@db/totesys").changes_per_second == 0
    with pytest.raises(ConfigurationError, match="nothing is simulated in a source that is named"):
        UpOptions.of(source_dsn="postgresql://reader@db/totesys", simulate=5.0)


def test_a_rate_of_nothing_simulates_nothing() -> None:
    assert UpOptions.of(simulate=0.0).changes_per_second == 0


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"poll_interval_seconds": 0.0}, "TOTES_POLL_INTERVAL_SECONDS: Input should be greater than 0 (found 0.0)."),
        ({"seconds": -1.0}, "TOTES_SECONDS: Input should be greater than or equal to 0 (found -1.0)."),
        ({"port": 70_000}, "TOTES_PORT: Input should be less than or equal to 65535 (found 70000)."),
        ({"time_zone": "Mars/Olympus"}, "TOTES_TIME_ZONE: expected an IANA time zone such as Europe/London"),
        ({"time_zone": "../etc/passwd"}, "TOTES_TIME_ZONE: expected an IANA time zone such as Europe/London"),
        ({"warehouse_schema": ""}, "TOTES_WAREHOUSE_SCHEMA: String should have at least 1 character (found '')."),
    ],
)
def test_a_wrong_option_is_said_in_one_sentence(given: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        UpOptions.of(**given)

    assert str(caught.value).startswith(sentence)
    assert "\n" not in str(caught.value)


def test_every_wrong_option_is_said_and_a_dsn_never_repeated() -> None:
    with pytest.raises(ConfigurationError) as caught:
        UpOptions.of(source_dsn=["postgresql://reader:hush@db/totesys"], seed="one")

    assert "TOTES_SOURCE_DSN" in str(caught.value)
    assert "TOTES_SEED" in str(caught.value)
    assert "hush" not in str(caught.value)


def test_every_field_is_described_with_its_variable_and_a_time_with_its_unit() -> None:
    for name, field in UpOptions.model_fields.items():
        assert field.description, name
        assert f"TOTES_{name.upper()}" in described(name)
        if name.endswith("seconds"):
            assert "in seconds" in described(name)
