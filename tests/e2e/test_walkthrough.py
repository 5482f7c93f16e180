"""docs/contracts.md as a contributor follows it: its edits, its commands, on a stack that holds rows of before."""

import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e.command import TOTES, clean
from tests.e2e.stack import QUIET, Stack, running

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("walkthrough")]
ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "contracts.md"
WALKS = ("column", "table")
SECONDS = 300
AS_INSTALLED = "--old-file=dev-setup"
"""The copy borrows this environment: nothing may be installed from there."""
MIGRATIONS = "tests/loader/test_migrate.py"
HELD = (
    f"{MIGRATIONS}::test_the_migrations_end_in_what_is_generated_from_the_contracts",
    f"{MIGRATIONS}::test_a_star_table_has_the_predefined_columns_in_their_order",
    f"{MIGRATIONS}::test_views_show_exactly_the_predefined_columns_and_history_adds_three",
    "tests/contracts/test_columnar.py::test_columns_and_rows_get_the_same_verdict",
    "tests/ops/contracts/test_asyncapi.py",
    "tests/ops/contracts/test_dictionary.py",
    "tests/ops/contracts/test_documents.py",
    "tests/ops/contracts/test_world.py",
    "tests/terraform",
    "tests/docs",
)
"""What of the suite holds whatever tables there are; the rest states today's, and fails by name where they change."""


@dataclass(frozen=True)
class Block:
    """A fenced block of the document: its language, and what stands in it."""

    language: str
    text: str


def walk(name: str) -> list[Block]:
    """The blocks of one walk, in their order."""
    part = DOCUMENT.read_text(encoding="utf-8").split(f"<!-- walk: {name} -->")[1].split("<!-- walk: ")[0]
    return [Block(*found) for found in re.findall(r"^```(diff|sh)\n(.*?)^```", part, re.M | re.S)]


def by_hand(blocks: list[Block]) -> int:
    """How many lines a contributor types."""
    edits = "".join(block.text for block in blocks if block.language == "diff")
    return len(re.findall(r"^\+(?!\+\+ )", edits, re.M))


@dataclass(frozen=True)
class Copy:
    """The project in a folder of its own, where it may be edited; commands find the code of that folder first."""

    folder: Path

    def run(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            words,
            cwd=self.folder,
            env=clean() | {"PYTHONPATH": str(self.folder)},
            input=text,
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )

    def follow(self, blocks: list[Block]) -> list[str]:
        """Make the edits and run the commands; what each command printed."""
        printed = []
        for block in blocks:
            if block.language == "diff":
                made = self.run("git", "apply", "--verbose", text=block.text)
                assert made.returncode == 0, made.stderr
            else:
                printed += [self._command(line) for line in block.text.splitlines()]
        return printed

    def _command(self, line: str) -> str:
        words = line.replace("make ", f"make {AS_INSTALLED} ").split()
        answer = self.run(*words)
        assert answer.returncode == 0, f"{line}\n{answer.stdout}{answer.stderr}"
        return answer.stdout

    def pytest(self, *paths: str) -> subprocess.CompletedProcess[str]:
        """In a folder of its own: pytest shuts its usual one to other users, and so to the outer run's Postgres."""
        return self.run(
            sys.executable,
            "-m",
            "pytest",
            "--no-cov",
            "-p",
            "no:cacheprovider",
            f"--basetemp={self.folder}.tmp",
            "-q",
            "-m",
            "not slow",
            *paths,
        )


@dataclass(frozen=True)
class Walked:
    """A copy in which every walk was followed, and what its commands printed."""

    copy: Copy
    printed: list[list[str]]


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> Walked:
    copy = copied(tmp_path_factory.mktemp("copy") / "totes")
    return Walked(copy, [copy.follow(walk(name)) for name in WALKS])


def copied(folder: Path) -> Copy:
    """Every file that git knows or would take."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    made = Copy(folder)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (made.folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, made.folder / name)
    (made.folder / ".venv").symlink_to(Path(sys.prefix))
    return made


def table_of_the_application() -> str:
    """The statement that the second walk puts into the embedded source."""
    edits = "".join(block.text for block in walk("table") if block.language == "diff")
    [statement] = re.findall(r"^\+(CREATE TABLE shipment .*?^\+\);)$", edits, re.M | re.S)
    return str(statement).replace("\n+", "\n")


def versions(stack: Stack) -> int:
    """Of all sales orders."""
    with stack.warehouse() as warehouse:
        [[found]] = warehouse.run(f"SELECT count(*) FROM {stack.schema}.fact_sales_order")
    return int(found)


def asked(stack: Stack, sql: str) -> list[list[object]]:
    with stack.warehouse() as warehouse:
        warehouse.run(f"SET search_path = {stack.schema}")
        return list(warehouse.run(sql) or [])


def test_the_walks_say_how_many_lines_they_take() -> None:
    said = [int(number) for number in re.findall(r"\*\*([0-9]+) lines\*\*", DOCUMENT.read_text(encoding="utf-8"))]

    assert said == [by_hand(walk(name)) for name in WALKS]


def test_a_column_and_a_table_are_added_as_the_document_says_to_a_stack_that_holds_rows_of_before(
    walked: Walked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = walked.copy
    state = tmp_path / "state"
    state.mkdir()
    with running(state, *QUIET, "--orders", "40") as stack:
        stack.until_equal()
        with stack.source() as source:
            source.run("ALTER TABLE sales_order ADD COLUMN channel varchar")
            source.run(table_of_the_application())
            source.run("UPDATE sales_order SET units_sold = 7, last_updated = now() WHERE sales_order_id = 1")
        stack.until_equal()
        before = versions(stack)

    monkeypatch.setenv("PYTHONPATH", str(copy.folder))
    with running(state, *QUIET) as stack:
        with stack.source() as source:
            source.run("UPDATE sales_order SET channel = 'web', last_updated = now() WHERE sales_order_id = 2")
            source.run(
                "INSERT INTO shipment (sales_order_id, staff_id, parcels, shipped_on) VALUES (2, 1, 3, '2031-02-28')"
            )
        shipped = "SELECT sales_order_id, staff_id, parcels, shipped_on::text FROM current_shipment"
        stack.up.until("the shipment to arrive", lambda: asked(stack, shipped) == [[2, 1, 3, "2031-02-28"]])
        sold = "SELECT channel FROM current_sales_order WHERE sales_order_id <= 2 ORDER BY sales_order_id"
        stack.up.until("the channel to arrive", lambda: asked(stack, sold) == [[None], ["web"]])
        found = copy.run(str(TOTES), "reconcile", "--deep", "--state-dir", str(state / ".totes"))
        again = copy.run(str(TOTES), "reconcile", "--deep", "--state-dir", str(state / ".totes"))
        live = [
            copy.run(str(TOTES), "contracts", "check", f"--{side}", dsn, *schema)
            for side, dsn, schema in (
                ("source", stack.description["source_owner_dsn"], ()),
                ("warehouse", stack.description["warehouse_dsn"], ("--schema", stack.schema)),
            )
        ]

        assert again.returncode == 0, found.stdout + again.stdout
        assert versions(stack) == before + 1, "a column that came makes no version of the orders of before"
        assert [answer.returncode for answer in live] == [0, 0], [answer.stdout + answer.stderr for answer in live]
    assert [any("all in order" in each for each in said) for said in walked.printed] == [True, True]


def test_the_suite_of_the_contracts_passes_once_a_table_was_added(walked: Walked) -> None:
    answer = walked.copy.pytest(*HELD)

    assert answer.returncode == 0, answer.stdout[-5000:]
