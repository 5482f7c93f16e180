"""The largest object that is let in fits a function of 256 MiB (invariant 12)."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.transform.copy_text import MAX_TEXT_BYTES
from tests.transform.archived import changed, rows

TRANSFORM_ONE = """
import sys
from pathlib import Path
from contracts.feeds import FEEDS
from services.transform.handler import compose
from services.transform.incoming import read_message
from services.transform.transform import transform

folder = Path(sys.argv[1])
batch = read_message((folder / "message").read_text())
transform(batch, FEEDS["address"], (folder / "object").read_bytes())
print(next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")))
"""


@pytest.mark.no_cover
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
def test_the_largest_page_that_is_let_in_stays_below_256_mib(tmp_path):
    count = 50_000
    batch, body = changed("address", rows("address", count, address_line_1="👜" * (MAX_TEXT_BYTES // count // 4 - 50)))
    (tmp_path / "message").write_text(batch.body())
    (tmp_path / "object").write_bytes(body)

    finished = subprocess.run(
        [sys.executable, "-c", TRANSFORM_ONE, str(tmp_path)], check=True, capture_output=True, text=True
    )

    assert int(finished.stdout) / 1024 < 256
