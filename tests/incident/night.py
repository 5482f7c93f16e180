"""The night: a contract tightened by mistake, a truncated object, a message of nobody's, a column of another type.

Invariant: each trouble is made by other means than the pipeline's own, found and mended by `totes` alone, and at the
end the warehouse holds what the source holds. What was seen on the way is kept as evidence.
"""

import json
from dataclasses import dataclass
from pathlib import Path

from tests.incident.changes import Checkout
from tests.incident.stage import Shown, Stage, Terminal, up

ORDERS = 1000
UNITS, PRICES, DATES = (101, 202, 303), (404, 505), (606, 707)
"""Which of the new orders break the contract, and in which of three ways."""
BROKEN = len(UNITS) + len(PRICES) + len(DATES)
MALFORMED = json.dumps({"hello": "world"})
WHY = "night of the tightened contract"


@dataclass(frozen=True)
class Evidence:
    """What was seen: counts at their moments, exit codes, and the session as it was typed."""

    loaded_before: int
    loaded_after: int
    quarantined: int
    causes: frozenset[tuple[str, str | None]]
    red: int
    green: int
    replayed: int
    reconciled: int
    left: int
    deep: int
    audited: int
    session: tuple[Shown, ...]


def play(folder: Path) -> Evidence:
    """Play the night in a new folder."""
    terminal = Terminal(Checkout.copy(folder))
    with up(terminal) as stage:
        stage.until("what was there before to be loaded", lambda: _settled(stage))
    terminal.checkout.tighten()
    with up(terminal) as stage:
        first = _insert_orders(stage)
        stage.until("the good orders to be loaded", lambda: _loaded(stage, first) == ORDERS - BROKEN)
        truncated = _truncate_an_object(stage)
        stage.client("sqs").send_message(QueueUrl=stage.description["queues"]["changes"], MessageBody=MALFORMED)
        _change_a_type(stage)
        stage.until("two messages to be parked", lambda: stage.status().parked == 2)
        stage.until("the feed to be stopped", lambda: bool(stage.status().feeds["purchase_order"].stopped))
        before = _loaded(stage, first)
        terminal.type("What is wrong?", "status")
        listed = terminal.asked("dlq", "list")
        terminal.type("What broke, where, and why?", "dlq", "list")
        corrupt = _id_of(listed, "corrupt_object")
        terminal.type("One of them, whole.", "dlq", "show", corrupt)
        red = terminal.type("Would any of it pass now?", "dlq", "check")
        _restore(stage, truncated)
        terminal.note("The bucket is versioned: the object's first version comes back.", f"restored {truncated}")
    terminal.checkout.mend()
    terminal.note("The contract is mended, and the functions are deployed again (here: `totes up`).", "")
    with up(terminal) as stage:
        stage.until("the feed to be read again", lambda: not stage.status().feeds["purchase_order"].stopped)
        terminal.type(
            "Nobody can mend a message that is none of ours: archived, then deleted.",
            *("dlq", "purge", "--cause", "malformed_message", "--yes", "--why", WHY),
        )
        green = terminal.type("Would the rest pass now?", "dlq", "check")
        replayed = terminal.type("Then send it again.", "dlq", "replay", "--yes", "--why", WHY)
        stage.until("all orders to be loaded", lambda: _loaded(stage, first) == ORDERS)
        stage.until("the designs to be loaded", lambda: _designs_arrived(stage))
        reconciled = terminal.type("Does the warehouse hold what the source holds?", "reconcile")
        terminal.type("And nothing is left.", "dlq", "list")
        terminal.type("What happened to one of the seven?", "trace", "sales_order", str(first + UNITS[0] - 1))
        audit = terminal.type("Who did what, and why?", "dlq", "audit")
        deep = terminal.run("reconcile", "--deep", "--dry-run").returncode
        return Evidence(
            loaded_before=before,
            loaded_after=_loaded(stage, first),
            quarantined=sum(group["count"] for group in listed["groups"] if group["queue"] == "quarantine"),
            causes=frozenset((group["cause"], group.get("feed")) for group in listed["groups"]),
            red=red.code,
            green=green.code,
            replayed=replayed.code,
            reconciled=reconciled.code,
            left=len(terminal.asked("dlq", "list")["groups"]),
            deep=deep,
            audited=" ".join(audit.output.split()).count(WHY),
            session=tuple(terminal.session),
        )


def _settled(stage: Stage) -> bool:
    feeds = stage.status().feeds.values()
    arrived = [feed.rows_loaded >= feed.rows_captured > 0 for feed in feeds if feed.star_table]
    return bool(arrived) and all(arrived)


def _insert_orders(stage: Stage) -> int:
    """The first of the new orders' keys."""
    with stage.source() as source:
        [[last]] = source.run("SELECT max(sales_order_id) FROM sales_order")
        source.run(
            Path(__file__).with_name("orders.sql").read_text(encoding="utf-8"),
            orders=ORDERS,
            units=list(UNITS),
            prices=list(PRICES),
            dates=list(DATES),
        )
    return int(last) + 1


def _truncate_an_object(stage: Stage) -> str:
    """Designs whose object loses its second half before anybody reads it; the object's key."""
    functions, s3 = stage.client("lambda"), stage.client("s3")
    [mapping] = functions.list_event_source_mappings(FunctionName="totes-transform")["EventSourceMappings"]
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
    bucket = stage.description["buckets"]["archive"]
    known = _keys(stage, bucket)
    with stage.source() as source:
        source.run(
            "INSERT INTO design (design_name, file_location, file_name) "
            "SELECT 'Night ' || n, '/night', n || '.json' FROM generate_series(1, 5) n"
        )
    stage.until("the designs to be archived", lambda: len(_keys(stage, bucket)) > len(known))
    [key] = _keys(stage, bucket) - known
    whole = s3.get_object(Bucket=bucket, Key=key)
    body = whole["Body"].read()
    s3.put_object(Bucket=bucket, Key=key, Body=body[: len(body) // 2], Metadata=whole["Metadata"])
    functions.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)
    return str(key)


def _keys(stage: Stage, bucket: str) -> set[str]:
    listed = stage.client("s3").list_objects_v2(Bucket=bucket, Prefix="design/")
    return {entry["Key"] for entry in listed.get("Contents", ())}


def _restore(stage: Stage, key: str) -> None:
    s3, bucket = stage.client("s3"), stage.description["buckets"]["archive"]
    versions = s3.list_object_versions(Bucket=bucket, Prefix=key)["Versions"]
    [latest] = [each["VersionId"] for each in versions if each["IsLatest"]]
    s3.delete_object(Bucket=bucket, Key=key, VersionId=latest)


def _change_a_type(stage: Stage) -> None:
    with stage.source() as source:
        source.run("ALTER TABLE purchase_order ALTER COLUMN item_quantity TYPE numeric(10, 2)")


def _loaded(stage: Stage, first: int) -> int:
    with stage.warehouse() as warehouse:
        [[rows]] = warehouse.run("SELECT count(*) FROM current_sales_order WHERE sales_order_id >= :first", first=first)
    return int(rows)


def _designs_arrived(stage: Stage) -> bool:
    with stage.warehouse() as warehouse:
        [[rows]] = warehouse.run("SELECT count(*) FROM dim_design WHERE design_name LIKE 'Night %'")
    return bool(rows == 5)


def _id_of(listed: dict[str, list[dict[str, object]]], cause: str) -> str:
    [group] = [group for group in listed["groups"] if group["cause"] == cause]
    return str(group["example"])
