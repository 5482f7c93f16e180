"""What is left out of a package, and what of the AWS SDK stays in."""

import gc
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from services.local.code import code_files
from services.packages.slim import called_services, kept
from shared.errors import ConfigurationError

CALLED = {"s3", "sqs"}


@pytest.mark.parametrize(
    "name",
    [
        "pandas/tests/test_frame.py",
        "fastparquet/test/test_read.py",
        "numpy/__init__.pyi",
        "numpy/_core/include/numpy/ndarrayobject.h",
        "numpy/random/lib/libnpyrandom.a",
        "fastparquet/cencoding.pyx",
        "fastparquet/cencoding.c",
        "pandas/__pycache__/frame.cpython-313.pyc",
        "pycountry/locales/de/LC_MESSAGES/iso4217.mo",
        "bin/f2py",
        "numpy-2.4.6.dist-info/RECORD",
        "botocore/data/ec2/2016-11-15/service-2.json.gz",
        "boto3/data/dynamodb/2012-08-10/resources-1.json",
    ],
)
def test_what_no_function_reads_is_left_out(name: str):
    assert not kept(name, CALLED)


@pytest.mark.parametrize(
    "name",
    [
        "pandas/_testing/__init__.py",
        "numpy/testing/__init__.py",
        "six.py",
        "numpy.libs/libscipy_openblas64_-7220728c.so",
        "numpy-2.4.6.dist-info/METADATA",
        "numpy-2.4.6.dist-info/licenses/LICENSE.txt",
        "botocore/data/endpoints.json",
        "botocore/data/s3/2006-03-01/service-2.json.gz",
        "pycountry/databases/iso4217.json",
        "tzdata/zoneinfo/Europe/London",
        "another/data/ec2/table.json",
    ],
)
def test_what_a_function_may_read_stays(name: str):
    assert kept(name, CALLED)


def test_the_services_a_function_calls_are_read_from_its_code():
    def called(function: str) -> frozenset[str]:
        return called_services(dict(code_files(function)).values())

    assert called("poller") == {"s3", "sqs", "secretsmanager"}
    assert called("compactor") == {"s3"}


def test_a_client_of_a_service_that_is_no_literal_text_is_refused(tmp_path: Path):
    (tmp_path / "handler.py").write_text("import boto3\nname = 's3'\nboto3.client(name)\n")

    with pytest.raises(ConfigurationError, match=r"as literal text in handler.py, line 3"):
        called_services([tmp_path / "handler.py"])


@pytest.fixture
def interrupting() -> Iterator[None]:
    """Collections often, each of which lets another thread go on, as Hypothesis' callback may."""
    interval, threshold = sys.getswitchinterval(), gc.get_threshold()
    sys.setswitchinterval(1e-6)
    gc.set_threshold(50)
    gc.callbacks.append(_take_a_while)
    yield
    gc.callbacks.remove(_take_a_while)
    gc.set_threshold(*threshold)
    sys.setswitchinterval(interval)


def _take_a_while(_phase: str, _info: dict[str, int]) -> None:
    sum(range(50))


def test_two_platforms_built_at_once_do_not_disturb_each_other_s_parse(tmp_path: Path, interrupting: None):
    module = tmp_path / "module.py"
    module.write_text('def made(session):\n    return [session.client("s3") for _ in range(10)]\n' * 60)

    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(lambda _: called_services([module]), range(40)))

    assert found == [{"s3"}] * 40
