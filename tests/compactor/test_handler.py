"""The function as Lambda runs it, on files that the transform wrote; and how much memory it takes."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.messages import Operation
from services.compactor import handler
from shared.objects import ObjectStore
from shared.processed import Processed
from tests.conftest import Aws
from tests.shared.duck import view
from tests.transform.archived import NOW, changed, deleted, rows
from tests.transform.conftest import Pipeline


@pytest.fixture
def told(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name, value in {"PROCESSED_BUCKET": aws.processed, "LOG_LEVEL": "CRITICAL"}.items():
        monkeypatch.setenv(f"TOTES_{name}", value)
    handler.composition.cache_clear()
    yield
    handler.composition.cache_clear()


def test_an_invocation_compacts_what_the_transform_wrote_and_the_next_has_nothing_to_do(
    aws: Aws, tmp_path: Path, told: None
):
    pipeline = Pipeline(aws, tmp_path)
    batches = [
        changed("sales_order", rows("sales_order", 3), revision=5),
        changed("sales_order", rows("sales_order", 2, units_sold="7"), revision=6),
        deleted("sales_order", [2, 3], revision=7),
    ]
    pipeline.deliver(*(pipeline.archive(*batch) for batch in batches))
    small = sorted(pipeline.objects())

    answers = [handler.handler({}, None) for _ in range(2)]

    (day,) = answers[0]["days"]
    assert (day["table"], day["day"], day["small_files"], day["compacted_files"], day["rows"]) == (
        "fact_sales_order", f"{NOW:%Y-%m-%d}", 3, 2, 7,
    )  # fmt: skip
    assert answers[1] == {"days": [], "broken_off": False}
    objects = pipeline.objects()
    assert set(small) < set(objects)
    files = list(Processed(ObjectStore(aws.s3), aws.processed).files_of("fact_sales_order", NOW.date(), NOW.date()))
    assert [(file.operation, file.compacted) for file in files] == [
        (Operation.CHANGED, True),
        (Operation.DELETED, True),
    ]
    seen = view(objects[files[0].key], tmp_path)
    assert seen.column("_batch") == [batches[0][0].id] * 3 + [batches[1][0].id] * 2
    assert seen.column("_revision") == [5, 5, 5, 6, 6]
    assert seen.column("_as_of") == [NOW.replace(tzinfo=None)] * 5
    plain = [view(objects[key], tmp_path) for key in small if "-changed-" in key]
    width = len(plain[0].types)
    assert [row[:width] for row in seen.rows] == [row for one in plain for row in one.rows]
    assert dict(list(seen.types.items())[:width]) == plain[0].types


COMPACT_LARGEST = """
from datetime import date, datetime, UTC
from io import BytesIO
from types import SimpleNamespace
import numpy as np
from botocore.exceptions import ClientError
from contracts.star import DimLocation
from services.compactor.compact import Compactor, Task
from services.compactor.plan import MAX_GROUP_BYTES
from shared.objects import ObjectStore, sha256
from shared.parquet import write
from shared.telemetry import logger

class S3: # one body under every small key; of what is stored only manifests are kept
    exceptions = SimpleNamespace(NoSuchKey=ClientError)
    def __init__(self):
        self.manifests, self.sizes = {}, {}
    def get_paginator(self, name):
        return self
    def paginate(self, *, Prefix, **_):
        found = [{"Key": key, "Size": size} for key, size in sorted(self.sizes.items()) if key.startswith(Prefix)]
        days = [{"Prefix": "dim_location/date=2026-11-23/"}] if Prefix == "dim_location/date=" else []
        yield {"Contents": found, "CommonPrefixes": days}
    def get_object(self, *, Key, **_):
        body = self.manifests.get(Key, BODY)
        return {"Body": BytesIO(body), "ETag": "", "LastModified": None, "ResponseMetadata": {"HTTPHeaders": {}}}
    def put_object(self, *, Key, Body, **_):
        if Key.startswith("_manifest"):
            self.manifests[Key] = Body
        self.sizes[Key] = len(Body)
        return {"ETag": ""}

ROWS = 10_000
rng = np.random.default_rng(7)
columns = {"location_id": np.arange(ROWS, dtype="int32"), "_row_hash": rng.integers(-2**62, 2**62, ROWS)}
for column in DimLocation.columns()[1:]:
    columns[column.name] = np.array([rng.bytes(12).hex() for _ in range(ROWS)], "object")
BODY = write(DimLocation, columns)
s3, digest = S3(), sha256(BODY)[:16]
for number in range(86_400):
    stem = f"{number // 3600:02d}{number // 60 % 60:02d}{number % 60:02d}.000000Z-p0000000001-g1-r5-v1-changed"
    s3.sizes[f"dim_location/date=2026-11-23/{stem}-{digest}-{digest}.parquet"] = len(BODY)
ticks = iter(range(9))
compactor = Compactor(ObjectStore(s3), "b", log=logger("x", "CRITICAL"), now=lambda: datetime(2026, 11, 25, tzinfo=UTC),
    monotonic=lambda: float(next(ticks)), budget_seconds=2.5)
(day,) = compactor.run(Task(tables=("dim_location",))).days
assert day.compacted_files == 2 and day.bytes_before > 1.8 * MAX_GROUP_BYTES, day
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""


@pytest.mark.no_cover
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_the_largest_files_of_the_busiest_day_stay_below_256_mib():
    finished = subprocess.run([sys.executable, "-c", COMPACT_LARGEST], check=False, capture_output=True, text=True)

    assert finished.returncode == 0, finished.stderr
    assert int(finished.stdout) / 1024 < 256
