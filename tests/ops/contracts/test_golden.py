"""What every released version wrote is read, transformed and loaded by today's code into the rows it always made."""

import gzip
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from contracts.feeds import FEEDS, Feed, Former
from contracts.messages import ChangeBatch, CloudEvent, LoadBatch
from contracts.source import PaymentRow, Row
from services.loader.handler import Loader
from services.ops.contracts import golden, plain
from services.ops.contracts.published import MESSAGES, Kind, Published, today
from services.transform.star import BUILDERS, fact_payment
from services.transform.transform import Transform
from shared.consumer import Delivery
from shared.errors import ConfigurationError
from shared.objects import ObjectStore
from shared.queues import Queue
from shared.telemetry import logger
from tests.conftest import Aws
from tests.loader.conftest import LOADER as STAR_LOADER
from tests.loader.conftest import Star
from tests.reconciler.conftest import LOADER, SCHEMA
from tests.transform.upgraded import BUILDERS_V3, FEEDS_V3, FORMER, UPGRADED

GOLDEN = Path(__file__).parents[2] / "contracts" / "golden"
CONTRACTS = {each.title: each for each in today()}
MADE = {title: each for title, each in CONTRACTS.items() if title != "star.dim_date"}
VERSIONS = sorted({path.name for path in GOLDEN.glob("source/*/v*")})


def test_today_s_code_makes_of_every_golden_version_what_was_made_of_it_then() -> None:
    assert golden.check(GOLDEN) == ()


@pytest.mark.parametrize("contract", MADE.values(), ids=MADE)
def test_golden_files_follow_from_the_contract(contract: Published) -> None:
    made = golden.make(contract)

    kept = {path: (GOLDEN / path).read_bytes() for path in made if path.suffix == ".jsonl" and "rows" in path.name}
    assert made == golden.make(contract)
    assert {path: made[path] for path in kept} == kept
    assert {path.name for path in (GOLDEN / contract.kind / contract.name / f"v{contract.version}").iterdir()} == {
        path.name for path in made
    }


def test_the_dates_have_no_golden_rows_for_the_loader_makes_them() -> None:
    assert golden.make(CONTRACTS["star.dim_date"]) == {}


def doubled(rows: Any) -> Any:
    made = fact_payment(rows)
    return {**made, "payment_amount": made["payment_amount"] + 1}


def swapped(rows: Any) -> Any:
    made = fact_payment(rows)
    return {**made, "transaction_id": made["counterparty_id"], "counterparty_id": made["transaction_id"]}


class LaxPaymentRow(PaymentRow):
    """Payments of account numbers that may be anything."""

    counterparty_ac_number: Any  # type: ignore[assignment]


def with_row(row: type[Row]) -> dict[str, Feed]:
    return {**FEEDS, "payment": replace(FEEDS["payment"], row=row)}


class StrictPaymentRow(PaymentRow):
    """Payments that are never of nothing."""

    rules = {"a payment must be paid": lambda columns: [paid for paid in columns["paid"]]}  # noqa: C416, RUF012


@pytest.mark.parametrize(
    ("builder", "said"),
    [
        (doubled, "payment_amount of row 1 as '5.51' and not '5.50'"),
        (swapped, "transaction_id of row 1 as 104 and not 103"),
        (lambda rows: fact_payment({**rows, "paid": [True] * 4}), "paid of row 2 as True and not False"),
    ],
)
def test_star_rows_that_come_out_otherwise_are_told_by_version_row_and_column(builder: Any, said: str) -> None:
    found = golden.check(GOLDEN, builders={**BUILDERS, "fact_payment": builder})

    assert found[0] == f"Expected golden source.payment v1 to come out as it did, found {said}."
    assert {each[:34] for each in found} == {"Expected golden source.payment v1 "}


def test_a_row_that_today_s_rules_refuse_is_told() -> None:
    found = golden.check(GOLDEN, with_row(StrictPaymentRow))

    assert "Expected golden source.payment v1 to come out as it did, found row 2 refused, which was loaded." in found


def test_a_row_that_passes_under_the_contract_that_refused_it_is_told() -> None:
    found = golden.check(GOLDEN, with_row(LaxPaymentRow))

    assert any("v1 to come out as it did, found the quarantined rows as [] and not " in each for each in found)


def later(feeds: Mapping[str, Feed], **options: Any) -> list[str]:
    """What is said of golden files by a code that is two contracts on, beside those that it has none of yet."""
    return [each for each in golden.check(GOLDEN, feeds, **options) if not each.startswith("Expected golden files of")]


def test_former_versions_come_out_the_same_through_all_the_steps_to_a_later_contract() -> None:
    assert later(FEEDS_V3, builders=BUILDERS_V3) == []


def test_a_step_that_changes_what_the_rows_meant_is_told() -> None:
    def wrong(columns: Any) -> Any:
        return {**FORMER[2].step(columns), "units": columns["design_id"]}

    feed = replace(UPGRADED, former={**FORMER, 2: Former(FORMER[2].columns, FORMER[2].key, wrong)})

    found = later({**FEEDS, "sales_order": feed}, builders=BUILDERS_V3)

    assert found[0] == (
        "Expected golden source.sales_order v1 to come out as it did, found units_sold of row 1 as 103 and not 106."
    )


def test_a_step_that_fails_is_told() -> None:
    feed = replace(UPGRADED, former={**FORMER, 2: Former(FORMER[2].columns, FORMER[2].key, lambda columns: columns)})

    (found,) = later({**FEEDS, "sales_order": feed}, builders=BUILDERS_V3)

    assert found.startswith(
        "Expected golden source.sales_order v1 to come out as it did, found that today's code cannot"
    )


def test_versions_without_golden_files_are_told_and_what_makes_them(tmp_path: Path) -> None:
    newer = golden.check(GOLDEN, FEEDS_V3, BUILDERS_V3)
    none = golden.check(tmp_path)

    assert len(newer) == 2 * 2
    assert "found none: restore them from git." in newer[0]
    assert "source.sales_order v3" in newer[1]
    assert newer[1].endswith("found none: run `totes contracts release`.")
    assert len(none) == len(MADE)


def copied(tmp_path: Path) -> Path:
    return Path(shutil.copytree(GOLDEN, tmp_path / "golden"))


def test_golden_files_of_a_contract_that_is_gone_are_told(tmp_path: Path) -> None:
    folder = copied(tmp_path)
    shutil.copytree(folder / "source" / "design", folder / "source" / "invoice")

    assert golden.check(folder) == (
        "Expected a contract source.invoice, of which golden v1 is kept, found none: nobody could read it.",
    )


@pytest.mark.parametrize(
    "file",
    [
        "message/heartbeat/v1/heartbeat.json",
        "source/design/v1/changed.tsv.gz",
        "source/design/v1/deleted.json",
        "source/design/v1/rows.jsonl",
        "star/dim_design/v1/changed.parquet",
        "star/dim_design/v1/deleted.jsonl",
    ],
)
@pytest.mark.parametrize("damage", ["cut", "gone"])
def test_a_golden_file_that_is_damaged_is_told(tmp_path: Path, file: str, damage: str) -> None:
    path = copied(tmp_path) / file
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-20])
    else:
        path.unlink()

    found = golden.check(tmp_path / "golden")

    assert found
    assert {each.split(" to come")[0] for each in found} == {f"Expected golden {'.'.join(file.split('/')[:2])} v1"}


def test_an_archive_object_that_is_not_the_one_its_batch_names_is_told_though_its_rows_are_the_same(
    tmp_path: Path,
) -> None:
    path = copied(tmp_path) / "source" / "design" / "v1" / "changed.tsv.gz"
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), mtime=7))

    (found,) = golden.check(tmp_path / "golden")

    assert "Expected changed.tsv.gz as its batch names it" in found


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_whose_id_a_later_reader_would_change_is_told(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reading = MESSAGES[name].model_validate_json

    class Renamed(CloudEvent):
        @classmethod
        def model_validate_json(cls, body: Any, **options: Any) -> Any:
            return reading(body, **options).model_copy(update={"id": "another"})

    monkeypatch.setitem(MESSAGES, name, Renamed)  # type: ignore[arg-type]

    found = golden.check(GOLDEN)

    assert [each for each in found if f"golden message.{name} v1" in each and "found id of " in each]


def test_rows_that_are_not_as_they_should_be_are_never_made() -> None:
    said = "golden rows of payment to obey its contract and those after to break it, found broken: row 2: a payment"

    with pytest.raises(ConfigurationError, match=said):
        golden.make(CONTRACTS["source.payment"], with_row(StrictPaymentRow))


class Pipeline:
    """Transform and loader of today, and a warehouse of their own."""

    def __init__(self, aws: Aws, warehouse: Star) -> None:
        self.aws, self.star = aws, warehouse
        log = logger("golden", "CRITICAL")
        store = ObjectStore(aws.s3)
        self._transform = Transform(store, processed_bucket=aws.processed, loads=Queue(aws.sqs, aws.loads), log=log)
        self._loader = Loader(store, warehouse.warehouse(), log)

    def store(self, message: ChangeBatch | LoadBatch, path: Path) -> None:
        ref = message.data.object
        self.aws.s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=path.read_bytes())

    def transform(self, bodies: Sequence[str]) -> list[str]:
        """The load batches and heartbeats that come of change batches and heartbeats."""
        assert self._transform.handle(delivered(bodies)) == {}
        found: list[str] = []
        while messages := self.aws.sqs.receive_message(QueueUrl=self.aws.loads, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.aws.sqs.delete_message(QueueUrl=self.aws.loads, ReceiptHandle=message["ReceiptHandle"])
                found.append(message["Body"])
        return found

    def load(self, bodies: Sequence[str]) -> None:
        """Each by itself, in this order."""
        for body in bodies:
            assert self._loader.handle(delivered([body])) == {}


@dataclass
class Database(Star):
    """A migrated database whose loader is another role."""

    def dsn(self, user: str) -> str:
        return super().dsn({STAR_LOADER: LOADER}.get(user, user))


@pytest.fixture
def warehouse(warehouse_dsn: str) -> Iterator[Star]:
    found = Database(warehouse_dsn, SCHEMA)
    yield found
    found.close()


def delivered(bodies: Sequence[str]) -> list[Delivery]:
    return [Delivery(f"m{number}", "", 1, body) for number, body in enumerate(bodies)]


def messages(pipeline: Pipeline, kind: Kind, version: str, suffix: str) -> list[str]:
    """The golden batches of a kind and version, whose objects are stored."""
    found = []
    for folder in sorted(GOLDEN.glob(f"{kind}/*/{version}")):
        for operation in ("changed", "deleted"):
            body = (folder / f"{operation}.json").read_text()
            model: Any = ChangeBatch if kind is Kind.SOURCE else LoadBatch
            pipeline.store(model.model_validate_json(body), folder / f"{operation}.{suffix}")
            found.append(body)
    return found


def expected(kind: Kind, feed: Feed, version: str) -> list[plain.PlainRow]:
    """The golden star rows in the order of their keys, in the columns that there still are."""
    assert feed.star is not None
    name = feed.name if kind is Kind.SOURCE else feed.star.table
    rows = plain.read((GOLDEN / kind / name / version / "rows.jsonl").read_bytes())
    columns = {column.name for column in feed.star.columns()}
    return sorted(
        ({name: value for name, value in row.items() if name in columns} for row in rows),
        key=lambda row: row[feed.star.key],
    )


def rows_of(warehouse: Star, feed: Feed, names: Sequence[str]) -> list[plain.PlainRow]:
    """All rows of a star table that were loaded, in the order of their keys."""
    assert feed.star is not None
    where = "" if feed.star.record_id else "WHERE _inferred_at IS NULL "
    rows = warehouse.rows(f"SELECT {', '.join(names)} FROM {feed.star.table} {where}ORDER BY {feed.star.key}")
    return [dict(zip(names, map(plain.value, row), strict=True)) for row in rows]


def deleted(warehouse: Star, feed: Feed) -> list[int]:
    """The keys that are gone, as the warehouse has it."""
    assert feed.star is not None
    if feed.star.record_id is None:
        found = f"SELECT {feed.star.key} FROM {feed.star.table} WHERE _deleted_revision > _revision"
    else:
        found = f"SELECT key FROM _seen_{feed.name} WHERE star_hash IS NULL"
    return [key for (key,) in warehouse.rows(found)]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("order", ["in order, twice", "in reverse order"])
@pytest.mark.parametrize("kind", [Kind.SOURCE, Kind.STAR])
def test_every_golden_version_ends_in_the_warehouse_as_it_was_written(
    aws: Aws,
    warehouse: Star,
    kind: Kind,
    order: str,
    version: str,
) -> None:
    pipeline = Pipeline(aws, warehouse)
    bodies = messages(pipeline, kind, version, "tsv.gz" if kind is Kind.SOURCE else "parquet")
    bodies = [*bodies, *bodies] if order == "in order, twice" else bodies[::-1]

    pipeline.load(pipeline.transform(bodies) if kind is Kind.SOURCE else bodies)

    for feed in FEEDS.values():
        if feed.star is not None:
            wanted = expected(kind, feed, version)
            assert rows_of(warehouse, feed, [*wanted[0]]) == wanted
            assert deleted(warehouse, feed) == [1]


def test_golden_heartbeats_are_passed_on_and_recorded(aws: Aws, warehouse: Star) -> None:
    pipeline = Pipeline(aws, warehouse)
    bodies = [path.read_text() for path in sorted(GOLDEN.glob("message/heartbeat/*/*.json"))]

    pipeline.load(pipeline.transform(bodies))

    assert warehouse.rows("SELECT generation, revision, as_of FROM _heartbeat") == [[1, 1000, golden.SNAPSHOT]]
