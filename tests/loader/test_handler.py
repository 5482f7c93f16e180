"""The function, from an SQS event to the warehouse: twice, half-way, out of order, and beside bad neighbours."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import count
from typing import Any

import numpy as np
import pytest
from pydantic import create_model

from contracts.messages import FeedBeat, Heartbeat, HeartbeatData, LoadBatch, Origin
from contracts.star import DimLocation, DimStaff, FactSalesOrder, StarRow, Text
from services.loader.handler import Loader, composition, handler
from shared import parquet
from shared.consumer import Answer
from shared.errors import NotTried
from shared.objects import ObjectStore, sha256
from shared.telemetry import logger
from tests.conftest import Aws
from tests.loader.conftest import LOADER, SCHEMA, Fault, Star
from tests.loader.rows import AS_OF, LOCATION, SALE, STAFF, Made, array, at, changed, deleted
from tests.shared.emf import metrics_in

_messages = count(1)


class Invocation:
    """An invocation with time enough."""

    def get_remaining_time_in_millis(self) -> int:
        return 120_000


@dataclass
class Function:
    """The deployed function: its buckets, its queue, its dead letters, its warehouse."""

    aws: Aws
    star: Star

    def send(self, *made: Made | str) -> None:
        """Store each batch's object and put its message, or a message as it is, onto the queue."""
        for one in made:
            if isinstance(one, Made):
                ref = one.batch.data.object
                self.aws.s3.put_object(Bucket=ref.bucket, Key=ref.key, Body=one.body)
            body = one if isinstance(one, str) else one.batch.body()
            self.aws.sqs.send_message(QueueUrl=self.aws.loads, MessageBody=body)

    def event(self) -> dict[str, Any]:
        """What Lambda would be called with now."""
        answer = self.aws.sqs.receive_message(
            QueueUrl=self.aws.loads, MaxNumberOfMessages=10, VisibilityTimeout=0, AttributeNames=["All"]
        )
        return {
            "Records": [
                {
                    "messageId": message["MessageId"],
                    "receiptHandle": message["ReceiptHandle"],
                    "attributes": message["Attributes"],
                    "body": message["Body"],
                }
                for message in answer.get("Messages", [])
            ]
        }

    def deliver(self, event: dict[str, Any] | None = None) -> list[str]:
        """Call the function; the bodies of the messages it handed back."""
        event = event or self.event()
        answer: Answer = handler(event, Invocation())
        kept = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        for record in event["Records"]:
            if record["messageId"] not in kept:
                self.aws.sqs.delete_message(QueueUrl=self.aws.loads, ReceiptHandle=record["receiptHandle"])
        return [record["body"] for record in event["Records"] if record["messageId"] in kept]

    def parked(self) -> list[str]:
        """The reason classes in the dead-letter queue."""
        answer = self.aws.sqs.receive_message(
            QueueUrl=self.aws.loads_dlq, MaxNumberOfMessages=10, MessageAttributeNames=["All"], VisibilityTimeout=0
        )
        return sorted(m["MessageAttributes"]["reason_class"]["StringValue"] for m in answer.get("Messages", []))


@pytest.fixture
def function(aws: Aws, star: Star, monkeypatch: pytest.MonkeyPatch) -> Iterator[Function]:
    aws.secrets.create_secret(Name="totes/warehouse", SecretString=star.dsn(LOADER))
    monkeypatch.setenv("TOTES_LOADS_QUEUE_URL", aws.loads)
    monkeypatch.setenv("TOTES_DEAD_LETTER_QUEUE_URL", aws.loads_dlq)
    monkeypatch.setenv("TOTES_WAREHOUSE_SCHEMA", SCHEMA)
    composition.cache_clear()
    yield Function(aws, star)
    composition().loader.warehouse.close()
    composition.cache_clear()


def sale(number: int, revision: int, units: int = 1000) -> Made:
    return changed(
        FactSalesOrder,
        [{**SALE, "sales_order_id": number, "units_sold": units}],
        at(1, revision),
        as_of=AS_OF + timedelta(seconds=revision),
        since=AS_OF,
    ).stored()


def test_batches_of_several_tables_in_one_event_are_loaded(function: Function) -> None:
    function.send(sale(1, 10), sale(2, 10), changed(DimStaff, [STAFF], at(1, 10)).stored())

    assert function.deliver() == []

    assert function.star.rows("SELECT sales_order_id FROM current_sales_order ORDER BY 1") == [[1], [2]]
    assert function.star.rows("SELECT last_name, _inferred_at FROM dim_staff") == [["O'Keefe", None]]
    assert function.star.rows("SELECT count(DISTINCT xmin::text), count(*) FROM _load_batch") == [[2, 3]]


def test_an_event_that_is_delivered_twice_is_loaded_once(function: Function) -> None:
    function.send(sale(1, 10), sale(2, 10))
    event = function.event()
    function.deliver(event)
    before = function.star.rows("SELECT * FROM fact_sales_order"), function.star.rows("SELECT * FROM freshness")

    assert function.deliver(event) == []

    assert (
        function.star.rows("SELECT * FROM fact_sales_order"),
        function.star.rows("SELECT * FROM freshness"),
    ) == before


def test_events_out_of_order_end_in_the_newest_state(function: Function) -> None:
    for batch in (
        deleted(FactSalesOrder, [2], at(1, 30), as_of=AS_OF + timedelta(seconds=30)).stored(),
        sale(1, 20, units=5),
        sale(2, 20),
        sale(1, 10),
    ):
        function.send(batch)
        function.deliver()

    assert function.star.rows("SELECT sales_order_id, units_sold FROM current_sales_order") == [[1, 5]]
    assert function.star.rows("SELECT count(*) FROM history_sales_order") == [[3]]


def test_a_crash_before_commit_leaves_no_rows_and_the_messages_are_redelivered(function: Function) -> None:
    function.send(sale(1, 10))
    event = function.event()
    fault = Fault(at=9, error=KeyboardInterrupt("killed"))
    dying = Loader(ObjectStore(function.aws.s3), function.star.warehouse(fault), logger("loader", "INFO"))

    with pytest.raises(KeyboardInterrupt):
        dying.handle(module_deliveries(event))
    left = function.star.rows("SELECT count(*) FROM _seen_sales_order")
    function.deliver()

    assert left == [[0]]
    assert function.star.rows("SELECT sales_order_id FROM current_sales_order") == [[1]]


def module_deliveries(event: dict[str, Any]) -> Any:
    from shared.consumer import deliveries

    return deliveries(event)


def test_poison_is_parked_with_its_reason_and_its_neighbours_are_loaded(function: Function) -> None:
    lost = sale(3, 10)
    bent = sale(4, 10)
    other_feed = json.loads(sale(5, 10).batch.body())
    other_feed["data"]["star_table"] = "dim_staff"
    other_id = json.loads(sale(6, 10).batch.body()) | {"id": "fact_sales_order/another"}
    function.send(sale(1, 10), "no json", lost, bent, json.dumps(other_feed), json.dumps(other_id))
    function.send(sale(2, 10, units=1), sale(2, 10, units=2), sale(2, 11, units=3))
    function.aws.s3.delete_object(Bucket="processed", Key=lost.batch.data.object.key)
    function.aws.s3.put_object(Bucket="processed", Key=bent.batch.data.object.key, Body=b"bent")

    assert function.deliver() == []

    assert function.parked() == sorted(["malformed_message"] * 3 + ["corrupt_object"] * 2 + ["position_conflict"])
    assert function.star.rows("SELECT sales_order_id, count(*) FROM fact_sales_order GROUP BY 1 ORDER BY 1") == [
        [1, 1],
        [2, 2],
    ]


@pytest.mark.parametrize("kind", ["a feed", "a contract", "a message", "a heartbeat"])
def test_a_message_of_newer_code_is_handed_back_until_that_is_deployed_and_stops_no_other(
    function: Function, kind: str
) -> None:
    written = json.loads(sale(1, 10).batch.body())
    position = {"generation": 1, "revision": 10, "contract": 2}
    newer = json.dumps(
        {
            "a feed": written | {"data": written["data"] | {"feed": "invoice"}},
            "a contract": written | {"data": written["data"] | {"position": position}},
            "a message": written | {"data": {}, "dataschema": "urn:totes:load_batch:2"},
            "a heartbeat": {"type": "totes.heartbeat.v1", "dataschema": "urn:totes:heartbeat:2"},
        }[kind]
    )
    function.send(newer, sale(2, 10))

    assert function.deliver() == [newer]

    assert function.parked() == []
    assert function.star.rows("SELECT sales_order_id FROM fact_sales_order") == [[2]]


def of_former_contract(row: dict[str, Any], gone: str = "", **came: Any) -> Made:
    """A load batch of dim_location as a contract built it that lacked a column and had others."""
    fields = {name: field.rebuild_annotation() for name, field in DimLocation.model_fields.items() if name != gone}
    former = create_model("Former", __base__=StarRow, **fields, **dict.fromkeys(came, Text))
    former.table, former.key = DimLocation.table, DimLocation.key
    columns = {column.name: array(column, [{**row, **came}[column.name]]) for column in former.columns()}
    body = parquet.write(former, {**columns, "_row_hash": np.array([7], "int64")})
    made = changed(DimLocation, [row], at(1, 10))
    ref = made.batch.data.object.model_copy(update={"sha256": sha256(body), "bytes": len(body)})
    return Waiting(made.table, LoadBatch.of(made.batch.data.model_copy(update={"object": ref})), {}, body)


@dataclass(frozen=True)
class Waiting(Made):
    """With the bytes that another release stored."""

    waited: bytes = b""

    @property
    def body(self) -> bytes:
        return self.waited


def test_star_rows_that_waited_under_a_former_contract_are_loaded_by_today_s(function: Function) -> None:
    function.send(of_former_contract(LOCATION, gone="district", fax="0730 783350"))

    assert function.deliver() == []

    assert function.parked() == []
    assert function.star.rows("SELECT location_id, city, district, phone FROM dim_location") == [
        [4, "Leeds", None, "0730 783349"]
    ]


def test_star_rows_that_lack_what_may_not_be_null_are_parked_with_what_builds_them_anew(function: Function) -> None:
    function.send(of_former_contract(LOCATION, gone="city"))

    assert function.deliver() == []

    (message,) = function.aws.sqs.receive_message(QueueUrl=function.aws.loads_dlq, MessageAttributeNames=["All"])[
        "Messages"
    ]
    reason = message["MessageAttributes"]["reason"]["StringValue"]
    assert "city is missing" in reason
    assert "`totes replay-archive`" in reason


def test_an_object_of_another_table_is_parked_as_corrupt(function: Function) -> None:
    staff = changed(DimStaff, [STAFF], at(1, 10)).stored()
    order = sale(1, 10)
    mixed = LoadBatch.of(order.batch.data.model_copy(update={"object": staff.batch.data.object}))
    function.send(staff, mixed.body(), sale(2, 10))

    assert function.deliver() == []

    assert function.parked() == ["corrupt_object"]
    assert function.star.rows("SELECT sales_order_id FROM fact_sales_order") == [[2]]


def test_rows_the_warehouse_can_never_hold_are_parked_alone(function: Function) -> None:
    large = changed(FactSalesOrder, [SALE], at(1, 10))
    large = replace(large, columns={**large.columns, "unit_price": np.array([10**15], "int64")}).stored()
    function.send(large, sale(2, 10))

    assert function.deliver() == []

    assert function.parked() == ["contract"]
    assert function.star.rows("SELECT sales_order_id FROM fact_sales_order") == [[2]]


def test_an_outage_of_the_warehouse_hands_every_message_back(function: Function) -> None:
    function.aws.secrets.put_secret_value(SecretId="totes/warehouse", SecretString="postgresql://x@localhost:1/gone")
    batches = [sale(1, 10), sale(2, 10)]
    function.send(*batches)

    assert sorted(function.deliver()) == sorted(batch.batch.body() for batch in batches)
    assert function.parked() == []


def test_a_rotated_secret_is_read_again_when_the_old_login_is_refused(function: Function) -> None:
    function.aws.secrets.put_secret_value(SecretId="totes/warehouse", SecretString=function.star.dsn("nobody"))
    function.send(sale(1, 10))
    assert len(function.deliver()) == 1
    function.aws.secrets.put_secret_value(SecretId="totes/warehouse", SecretString=function.star.dsn(LOADER))

    handed_back = function.deliver(again_visible(function, sale(2, 10)))

    assert handed_back == []
    assert function.star.rows("SELECT sales_order_id FROM current_sales_order") == [[2]]


def again_visible(function: Function, made: Made) -> dict[str, Any]:
    function.send(made)
    return function.event()


def test_a_login_that_stays_refused_is_a_message_for_an_operator_and_nothing_is_parked(function: Function) -> None:
    function.aws.secrets.put_secret_value(SecretId="totes/warehouse", SecretString=function.star.dsn("nobody"))
    function.send(sale(1, 10))

    assert len(function.deliver()) == 1
    assert function.parked() == []


def test_a_mistake_of_ours_that_one_message_meets_costs_its_neighbours_nothing(function: Function) -> None:
    """A fastparquet that dies in a new way, say: here an object store whose client breaks on one key."""
    bad, good = sale(1, 10), sale(2, 10)
    function.send(bad, good)
    event = function.event()

    class Broken(ObjectStore):
        def get(self, ref: Any) -> bytes:
            if ref == bad.batch.data.object:
                raise RecursionError("met a mistake")
            return super().get(ref)

    loader = Loader(Broken(function.aws.s3), function.star.warehouse(), logger("loader", "INFO"))
    failures = loader.handle(module_deliveries(event))

    assert [str(error) for error in failures.values()] == [
        f"Load batch {bad.batch.id} met a mistake of the loader's: RecursionError('met a mistake')."
    ]
    assert function.star.rows("SELECT sales_order_id FROM fact_sales_order") == [[2]]


def test_a_store_that_fails_for_one_object_lets_the_others_load(function: Function) -> None:
    from shared.errors import ObjectStoreUnavailable

    bad, good = sale(1, 10), sale(2, 10)
    function.send(bad, good)

    class Slow(ObjectStore):
        def get(self, ref: Any) -> bytes:
            if ref == bad.batch.data.object:
                raise ObjectStoreUnavailable("S3 failed.")
            return super().get(ref)

    loader = Loader(Slow(function.aws.s3), function.star.warehouse(), logger("loader", "INFO"))
    failures = loader.handle(module_deliveries(function.event()))

    assert [type(error) for error in failures.values()] == [ObjectStoreUnavailable]
    assert function.star.rows("SELECT sales_order_id FROM fact_sales_order") == [[2]]


def test_a_message_received_before_has_a_transaction_of_its_own(function: Function) -> None:
    function.send(sale(1, 10), sale(2, 10), sale(3, 10), changed(DimStaff, [STAFF], at(1, 10)).stored())
    event = function.event()
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = "3"

    assert function.deliver(event) == []

    shared = function.star.rows("SELECT star_table, count(*) FROM _load_batch GROUP BY star_table, xmin::text")
    assert sorted(shared) == [["dim_staff", 1], ["fact_sales_order", 1], ["fact_sales_order", 2]]


def test_a_transaction_has_not_too_many_rows_however_many_messages_come_at_once(
    function: Function, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.loader.handler.TRANSACTION_ROWS", 3)
    several = (
        changed(FactSalesOrder, [{**SALE, "sales_order_id": 10 * n + key} for key in range(n)], at(1, n))
        for n in (4, 1, 2, 2)
    )
    function.send(*(one.stored() for one in several))

    assert function.deliver() == []

    together = "SELECT array_agg(rows ORDER BY rows) FROM _load_batch GROUP BY xmin::text ORDER BY min(loaded_at)"
    assert sorted(rows for [rows] in function.star.rows(together)) == [[1, 2], [2], [4]]


def test_groups_are_loaded_dimensions_first_and_only_while_there_is_time(function: Function) -> None:
    function.send(sale(1, 10), changed(DimStaff, [STAFF], at(1, 10)).stored(), sale(2, 10))
    time = iter([True, False])
    loader = Loader(ObjectStore(function.aws.s3), function.star.warehouse(), logger("loader", "INFO"))

    failures = loader.handle(module_deliveries(function.event()), lambda: next(time))

    assert [type(error) for error in failures.values()] == [NotTried, NotTried]
    assert function.star.rows("SELECT star_table FROM _load_batch") == [["dim_staff"]]


def test_the_loader_is_known_by_its_name_and_keeps_its_session(function: Function) -> None:
    for number in (1, 2):
        function.send(sale(number, 10))
        function.deliver()

    sessions = function.star.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'totes-loader'")
    assert sessions == [[1]]


def test_freshness_is_measured_over_polls_and_scans_alone(function: Function) -> None:
    [[now]] = function.star.rows("SELECT now()")
    since = now - timedelta(seconds=2)
    for number, (origin, begin) in enumerate(
        (
            *((origin, since) for origin in (Origin.POLL, Origin.SCAN, Origin.REPAIR, Origin.REPLAY)),
            (Origin.BACKFILL, None),
        ),
        1,
    ):
        batch = changed(FactSalesOrder, [{**SALE, "sales_order_id": number}], at(1, 10), origin=origin, since=begin)
        function.send(batch.stored())
    function.deliver()

    [[p50, p99, samples, rows]] = function.star.rows("SELECT p50_ms, p99_ms, samples, rows_loaded FROM freshness")

    assert (samples, rows) == (2, 5)
    assert 2000 <= p50 <= p99


def heartbeat(page: int) -> str:
    said = (FeedBeat(feed="staff", as_of=AS_OF, page=page),)
    return Heartbeat.of(HeartbeatData(generation=1, revision=42, as_of=AS_OF, feeds=said)).body()


def test_a_heartbeat_is_recorded_after_the_batches_it_came_with(
    function: Function, capsys: pytest.CaptureFixture[str]
) -> None:
    staff = changed(DimStaff, [STAFF], at(1, 10)).stored()
    first = replace(staff, batch=LoadBatch.of(staff.batch.data.model_copy(update={"page": 0})))
    function.send(heartbeat(1), first)

    assert function.deliver() == []

    assert function.star.rows("SELECT page, as_of FROM _complete WHERE feed = 'staff'") == [[1, AS_OF]]
    assert function.star.rows("SELECT count(*) FROM _heartbeat") == [[1]]
    assert len(metrics_in(capsys.readouterr().out)["heartbeat_age_seconds", "loader", ""]) == 1


def test_a_heartbeat_that_is_none_is_parked_and_its_neighbours_are_loaded(function: Function) -> None:
    bent = json.loads(heartbeat(1))
    bent["data"]["feeds"][0]["page"] = 2
    function.send(json.dumps(bent), sale(1, 10))

    assert function.deliver() == []

    assert function.parked() == ["malformed_message"]
    assert function.star.rows("SELECT count(*) FROM _load_batch") == [[1]]
    assert function.star.rows("SELECT count(*) FROM _heartbeat") == [[0]]
