"""The feed sales_order two contracts on: columns renamed (the key too), one new with a default, one come and gone."""

from collections.abc import Mapping, Sequence

from contracts.feeds import FEEDS, Feed, Former, TextColumns
from contracts.fields import DateText, Int, Price, Text, Timestamp
from contracts.messages import ChangeBatch, Operation
from contracts.source import Row
from services.transform.star import BUILDERS, Builder, Columns, Rows
from tests.transform.archived import SourceRow, batch_of, copy_text

CONTRACT = 3
_V1 = FEEDS["sales_order"]
_V2 = (*(name.replace("units_sold", "units") for name in _V1.columns), "channel")


class SalesOrderRowV3(Row):
    """A sales order under contract 3."""

    order_id: Int
    created_at: Timestamp
    last_updated: Timestamp
    design_id: Int
    staff_id: Int
    counterparty_id: Int
    units: Int
    unit_price: Price
    currency_id: Int
    agreed_delivery_date: DateText
    agreed_payment_date: DateText
    agreed_delivery_location_id: Int
    discount: Price
    remark: Text | None


def _from_1(columns: TextColumns) -> TextColumns:
    """units_sold becomes units; every order was sold in the shop."""
    same = {name: values for name, values in columns.items() if name != "units_sold"}
    return {**same, "units": columns["units_sold"], "channel": ["shop"] * len(columns["units_sold"])}


def _from_2(columns: TextColumns) -> TextColumns:
    """sales_order_id becomes order_id, the channel is gone, nobody had a discount or a remark."""
    rows = len(columns["channel"])
    same = {name: values for name, values in columns.items() if name not in ("channel", "sales_order_id")}
    new: TextColumns = {"discount": ["0.00"] * rows, "remark": [None] * rows}
    return {**same, **new, "order_id": columns["sales_order_id"]}


def _fact(rows: Rows) -> Columns:
    return BUILDERS["fact_sales_order"]({**rows, "sales_order_id": rows["order_id"], "units_sold": rows["units"]})


FORMER = {1: Former(_V1.columns, _V1.key, _from_1), 2: Former(_V2, _V1.key, _from_2)}
UPGRADED = Feed("sales_order", "order_id", SalesOrderRowV3, _V1.star, None, CONTRACT, FORMER)
FEEDS_V3: Mapping[str, Feed] = {**FEEDS, "sales_order": UPGRADED}
BUILDERS_V3: Mapping[str, Builder] = {**BUILDERS, "fact_sales_order": _fact}


def under(contract: int, lines: Sequence[SourceRow]) -> tuple[ChangeBatch, bytes]:
    """A batch of sales orders as the poller of that contract archives them; `lines` have the names of contract 1."""
    columns: TextColumns = {name: [line[name] for line in lines] for name in _V1.columns}
    for version in range(1, contract):
        columns = FORMER[version].step(columns)
    names = (*UPGRADED.columns_under(contract), "_row_hash")
    made = {**columns, "_row_hash": [str(number) for number in range(len(lines))]}
    text = copy_text(names, [{name: made[name][place] for name in names} for place in range(len(lines))])
    return batch_of("sales_order", Operation.CHANGED, names, text, len(lines), contract=contract)


def deleted_under(contract: int, keys: Sequence[int]) -> tuple[ChangeBatch, bytes]:
    """A batch of deleted sales orders as the poller of that contract archives it."""
    names = (UPGRADED.key_under(contract),)
    text = copy_text(names, [{names[0]: str(key)} for key in keys])
    return batch_of("sales_order", Operation.DELETED, names, text, len(keys), contract=contract)
