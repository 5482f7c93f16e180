"""Change batches as a poller leaves them: COPY text in gzip, an envelope, a message; written here a second time."""

import gzip
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from contracts.feeds import FEEDS
from contracts.messages import ChangeBatch, ChangeBatchData, ObjectRef, Operation, Origin, Position, archive_key
from shared.objects import sha256

NOW = datetime(2024, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
ROW_HASH = "_row_hash"
SourceRow = Mapping[str, str | None]

_BASE: dict[str, str | None] = {
    "created_at": "2022-11-03 14:20:52.186",
    "last_updated": "2022-11-03 14:20:52",
}
VALID: dict[str, dict[str, str | None]] = {
    "currency": {"currency_id": "1", "currency_code": "GBP"},
    "payment_type": {"payment_type_id": "1", "payment_type_name": "SALES_RECEIPT"},
    "department": {"department_id": "4", "department_name": "Dispatch", "location": "Leds", "manager": "Mark Hanna"},
    "staff": {
        "staff_id": "1", "first_name": "Irving", "last_name": "O'Keefe", "department_id": "4",
        "email_address": "irving.o'keefe@terrifictotes.com", "department_name": "Dispatch", "location": "Leds",
    },
    "address": {
        "address_id": "1", "address_line_1": "6826 Herzog Via", "address_line_2": None, "district": "Avon",
        "city": "New Patienceburgh", "postal_code": "28441", "country": "Turkey", "phone": "1803 637401",
    },
    "counterparty": {
        "counterparty_id": "1", "counterparty_legal_name": "Leannon, Predovic and Morar", "legal_address_id": "1",
        "commercial_contact": "Mrs Moore", "delivery_contact": None, "address_line_1": "6826 Herzog Via",
        "address_line_2": None, "district": "Avon", "city": "New Patienceburgh", "postal_code": "28441",
        "country": "Turkey", "phone": "1803 637401",
    },
    "design": {"design_id": "1", "design_name": "Wooden", "file_location": "/usr", "file_name": "wooden-4dpq.json"},
    "sales_order": {
        "sales_order_id": "1", "design_id": "3", "staff_id": "19", "counterparty_id": "8", "units_sold": "42972",
        "unit_price": "3.94", "currency_id": "2", "agreed_delivery_date": "2022-11-07",
        "agreed_payment_date": "2022-11-08", "agreed_delivery_location_id": "8",
    },
    "purchase_order": {
        "purchase_order_id": "1", "staff_id": "12", "counterparty_id": "11", "item_code": "ZDOI5EA",
        "item_quantity": "371", "item_unit_price": "361.39", "currency_id": "2", "agreed_delivery_date": "2022-11-09",
        "agreed_payment_date": "2022-11-07", "agreed_delivery_location_id": "6",
    },
    "transaction": {
        "transaction_id": "1", "transaction_type": "PURCHASE", "sales_order_id": None, "purchase_order_id": "2",
    },
    "payment": {
        "payment_id": "2", "transaction_id": "2", "counterparty_id": "15", "payment_amount": "552548.62",
        "currency_id": "2", "payment_type_id": "3", "paid": "false", "payment_date": "2022-11-04",
        "company_ac_number": "67305075", "counterparty_ac_number": "31622269",
    },
}  # fmt: skip
"""One good row of each feed."""


def row(feed: str, **changes: str | None) -> dict[str, str | None]:
    """A good row of a feed with some of its fields changed."""
    assert set(changes) <= set(FEEDS[feed].columns)
    return {**_BASE, **VALID[feed], **changes}


def rows(feed: str, count: int, **changes: str | None) -> list[dict[str, str | None]]:
    """Good rows with the keys 1, 2, 3 …"""
    return [row(feed, **{FEEDS[feed].key: str(number + 1), **changes}) for number in range(count)]


def copy_text(columns: Sequence[str], lines: Sequence[SourceRow]) -> bytes:
    """What COPY TO would print."""
    return "".join("\t".join(_escaped(line[name]) for name in columns) + "\n" for line in lines).encode()


def _escaped(value: str | None) -> str:
    if value is None:
        return r"\N"
    for raw, escape in {
        "\\": r"\\",
        "\t": r"\t",
        "\n": r"\n",
        "\r": r"\r",
        "\b": r"\b",
        "\f": r"\f",
        "\v": r"\v",
    }.items():
        value = value.replace(raw, escape)
    return value


def changed(feed: str, lines: Sequence[SourceRow], **envelope) -> tuple[ChangeBatch, bytes]:
    """A changed batch and its object; the row hash of line n is n."""
    columns = (*FEEDS[feed].columns, ROW_HASH)
    hashed = [{ROW_HASH: str(number), **line} for number, line in enumerate(lines)]
    return batch_of(feed, Operation.CHANGED, columns, copy_text(columns, hashed), len(lines), **envelope)


def deleted(feed: str, keys: Sequence[int], **envelope) -> tuple[ChangeBatch, bytes]:
    """A deleted batch and its object."""
    columns = (FEEDS[feed].key,)
    text = copy_text(columns, [{columns[0]: str(key)} for key in keys])
    return batch_of(feed, Operation.DELETED, columns, text, len(keys), **envelope)


def batch_of(
    feed: str,
    operation: Operation,
    columns: Sequence[str],
    text: bytes,
    count: int,
    *,
    page: int = 1,
    revision: int = 5,
    contract: int = 1,
) -> tuple[ChangeBatch, bytes]:
    """Compress, name and describe."""
    body = gzip.compress(text, 1, mtime=0)
    position = Position(generation=1, revision=revision, contract=contract)
    key = archive_key(feed, as_of=NOW, position=position, page=page, operation=operation, sha256=sha256(body))
    ref = ObjectRef(bucket="archive", key=key, sha256=sha256(body), bytes=len(body), rows=count)
    data = ChangeBatchData(
        feed=feed, operation=operation, origin=Origin.POLL, position=position, page=page, since=NOW, as_of=NOW,
        time_zone="UTC", object=ref, columns=tuple(columns),
    )  # fmt: skip
    return ChangeBatch.of(data), body
