"""The one table of feeds: source table -> key -> row contract -> star table.

It drives polling, validation, DDL, loading, reconciling, simulation and the docs. Adding a table is one contract,
one transform function and one line here.
"""

from dataclasses import dataclass

from contracts import source, star
from contracts.source import Row
from contracts.star import StarRow


@dataclass(frozen=True)
class Join:
    """The second table of a joined feed, read by LEFT JOIN in the same SELECT."""

    table: str
    key: str
    on: str
    columns: tuple[str, ...]


@dataclass(frozen=True)
class Feed:
    """One source table as the pipeline reads it. `contract` is the version of its row contract and transform."""

    name: str
    key: str
    row: type[Row]
    star: type[StarRow] | None
    join: Join | None = None
    contract: int = 1

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the archive holds, in their order."""
        return tuple(self.row.model_fields)

    @property
    def tables(self) -> tuple[str, ...]:
        """The source tables this feed reads, its own first."""
        return (self.name,) if self.join is None else (self.name, self.join.table)


_DEPARTMENT = Join("department", "department_id", "department_id", ("department_name", "location"))
_LEGAL_ADDRESS = Join(
    "address",
    "address_id",
    "legal_address_id",
    ("address_line_1", "address_line_2", "district", "city", "postal_code", "country", "phone"),
)

FEEDS: dict[str, Feed] = {
    feed.name: feed
    for feed in (
        Feed("currency", "currency_id", source.CurrencyRow, star.DimCurrency),
        Feed("payment_type", "payment_type_id", source.PaymentTypeRow, star.DimPaymentType),
        Feed("department", "department_id", source.DepartmentRow, None),
        Feed("staff", "staff_id", source.StaffRow, star.DimStaff, _DEPARTMENT),
        Feed("address", "address_id", source.AddressRow, star.DimLocation),
        Feed("counterparty", "counterparty_id", source.CounterpartyRow, star.DimCounterparty, _LEGAL_ADDRESS),
        Feed("design", "design_id", source.DesignRow, star.DimDesign),
        Feed("sales_order", "sales_order_id", source.SalesOrderRow, star.FactSalesOrder),
        Feed("purchase_order", "purchase_order_id", source.PurchaseOrderRow, star.FactPurchaseOrder),
        Feed("transaction", "transaction_id", source.TransactionRow, star.DimTransaction),
        Feed("payment", "payment_id", source.PaymentRow, star.FactPayment),
    )
}
"""Parents before children: in this order a first backfill needs the fewest inferred members."""

NOT_POLLED = frozenset({"_prisma_migrations"})
"""Source tables known not to be business data: reported once, never polled."""
