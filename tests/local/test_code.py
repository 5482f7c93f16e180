"""A function's own code, and zips that follow from files alone."""

import os
import zipfile
from io import BytesIO
from pathlib import Path

from services.local.code import code_files, zipped


def test_a_function_runs_its_own_service_and_what_all_share_but_no_other_s():
    names = [name for name, _ in code_files("loader")]

    assert {"services/__init__.py", "services/loader/handler.py", "shared/settings.py", "contracts/feeds.py"} <= {
        *names
    }
    assert not any(name.startswith(("services/poller", "services/local", "services/packages")) for name in names)


def test_the_same_files_give_the_same_bytes_whatever_their_order_times_and_modes(tmp_path: Path):
    first, second = tmp_path / "first.py", tmp_path / "second.py"
    first.write_text("FIRST = 1\n")
    second.write_text("SECOND = 2\n")
    before = zipped({"a.py": first, "b.py": second})
    os.utime(first, (1, 1))
    second.chmod(0o700)

    assert zipped({"b.py": second, "a.py": first}) == before


def test_everybody_may_read_what_is_in_a_zip(tmp_path: Path):
    (tmp_path / "module.py").write_text("")
    (tmp_path / "module.py").chmod(0o600)

    (entry,) = zipfile.ZipFile(BytesIO(zipped({"module.py": tmp_path / "module.py"}))).infolist()

    assert entry.external_attr >> 16 == 0o100644
