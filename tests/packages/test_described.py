"""What was built, told and read again, and what a build follows from."""

from hashlib import sha256
from pathlib import Path

from services.local.topology import topology
from services.packages.described import Built, Description, inputs, read
from services.packages.platforms import lambda_platform, local_platform


def described(folder: Path, content: bytes = b"zip") -> Description:
    """A description beside its one zip."""
    built = Built(
        file="poller.zip",
        sha256=sha256(content).hexdigest(),
        zipped_bytes=len(content),
        unzipped_bytes=3,
        layers=(),
        distributions={"six": "1.17.0"},
    )
    made = Description(
        platform="local", python="3.11", machine="x86_64", bytecode=True, inputs="hash", packages={"poller": built}
    )
    (folder / "poller.zip").write_bytes(content)
    made.write(folder)
    return made


def test_a_description_is_read_as_it_was_written(tmp_path: Path):
    made = described(tmp_path)

    assert read(tmp_path) == made


def test_a_zip_that_is_not_what_its_description_says_counts_as_none(tmp_path: Path):
    described(tmp_path)
    (tmp_path / "poller.zip").write_bytes(b"another")
    assert read(tmp_path) is None

    (tmp_path / "poller.zip").unlink()
    assert read(tmp_path) is None


def test_a_folder_without_a_description_or_with_half_of_one_has_none(tmp_path: Path):
    assert read(tmp_path) is None

    (tmp_path / "packages.json").write_text('{"platform": "local"')
    assert read(tmp_path) is None


def test_import_times_are_told_where_they_were_measured(tmp_path: Path):
    made = described(tmp_path)

    assert made.import_seconds() == {}
    assert made.timed({"poller": 0.5, "another": 1.0}).import_seconds() == {"poller": 0.5}


def test_another_platform_or_another_compiler_gives_other_packages():
    here, there = local_platform(), lambda_platform(topology().platform)
    found = {inputs(topology(), platform, compiler) for platform in (here, there) for compiler in (None, "3.13.0")}

    assert len(found) == 4
    assert inputs(topology(), here, None) in found
