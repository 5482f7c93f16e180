"""`python -m services.packages` when something is in the way."""

from pathlib import Path

import pytest

from services.packages.__main__ import main


@pytest.fixture
def nothing_to_install_from(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("UV_NO_INDEX", "1")


def test_without_the_wheels_it_says_so_in_uv_s_words_and_leaves_the_last_packages(
    nothing_to_install_from: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    last = tmp_path / "packages" / "local" / "poller.zip"
    last.parent.mkdir(parents=True)
    last.write_bytes(b"last")

    assert main(["local", "--folder", str(tmp_path / "packages")]) == 1

    assert capsys.readouterr().err.startswith("uv failed while installing requirements.lock for local: ")
    assert last.read_bytes() == b"last"
    assert [path.name for path in last.parent.parent.iterdir()] == ["local"]
