"""Bytecode that follows from a module alone."""

import sys
from pathlib import Path

from services.packages.bytecode import bytecode_name, compile_modules

SOURCE = '''
"""Sets and shared texts, which differ from run to run unless care is taken."""
LETTERS = frozenset({"alpha", "beta", "gamma", "delta", "epsilon"})
def member(name, of={"alpha", "beta"}):
    return name in {"alpha", "beta", "gamma", "delta"} or name in of
'''


def compiled(folder: Path, modules: dict[str, str]) -> dict[str, bytes]:
    """Module's name -> its bytecode, compiled together in a folder."""
    sources = {name: folder / f"{number}.py" for number, name in enumerate(modules)}
    folder.mkdir()
    for name, path in sources.items():
        path.write_text(modules[name])
    found = compile_modules(Path(sys.executable), sources, folder / "out")
    return {name: path.read_bytes() for name, path in found.items()}


def test_a_module_s_bytecode_is_the_same_beside_other_modules_and_in_another_folder(tmp_path: Path):
    alone = compiled(tmp_path / "a", {"pack/letters.py": SOURCE})
    beside = compiled(
        tmp_path / "b", {"aaa.py": "NAMES = ['alpha', 'beta', 'member', 'name']", "pack/letters.py": SOURCE}
    )

    assert alone["pack/letters.py"] == beside["pack/letters.py"]
    assert str(tmp_path).encode() not in alone["pack/letters.py"]


def test_bytecode_is_loaded_whatever_the_source_s_time_is(tmp_path: Path):
    found = compiled(tmp_path / "a", {"letters.py": SOURCE})["letters.py"]

    assert int.from_bytes(found[4:8], "little") == 0b01


def test_a_file_that_is_no_python_of_this_version_has_no_bytecode(tmp_path: Path):
    found = compiled(tmp_path / "a", {"template.py": "print 'old'", "letters.py": SOURCE})

    assert found.keys() == {"letters.py"}


def test_bytecode_lies_where_an_interpreter_looks_for_it():
    assert bytecode_name("pack/letters.py", "cpython-313") == "pack/__pycache__/letters.cpython-313.pyc"
