"""The one table of feeds: source table -> key -> row contract -> star table.

It drives polling, validation, DDL, loading, reconciling, simulation and the docs. Adding a table is one contract,
one transform function and one line here. Changing a contract is the next version, and under `former` what the archive
holds under the version before, with the step from it to the next: what was archived once stays loadable for ever.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from itertools import pairwise

from contracts import source, star
from contracts.columnar import TextColumn
from contracts.source import Row
from contracts.star import StarRow


@dataclass(frozen=True)
class Join:
    """The second table of a joined feed, read by LEFT JOIN in the same SELECT."""

    table: str
    key: str
    on: str
    columns: tuple[str, ...]


TextColumns = Mapping[str, TextColumn]
Step = Callable[[TextColumns], TextColumns]


@dataclass(frozen=True)
class Former:
    """A contract that archived objects may still be under: its columns in their order, its key, and the way on.

    `step` makes the next version's columns of this one's, whole text columns at once and row for row; the key's values
    stay what they are.
    """

    columns: tuple[str, ...]
    key: str
    step: Step


def before(row: type[Row], key: str, *added: str, later: Collection[str] = ()) -> Former:
    """The version before columns were `added` to what is `row` today; its rows have NULL there.

    `later`: the columns that versions after the next one added.
    """

    def step(columns: TextColumns) -> TextColumns:
        rows = len(columns[key])
        return {**columns, **{name: [None] * rows for name in added}}

    return Former(tuple(name for name in row.model_fields if name not in {*added, *later}), key, step)


@dataclass(frozen=True)
class Feed:
    """One source table as the pipeline reads it. `contract` is the version of its row contract and transform."""

    name: str
    key: str
    row: type[Row]
    star: type[StarRow] | None
    join: Join | None = None
    contract: int = 1
    former: Mapping[int, Former] = field(default_factory=dict, hash=False)
    """Every version before today's."""

    def __post_init__(self) -> None:
        """Raises ValueError where a version is missing: its objects could never be loaded again."""
        if set(self.former) != set(range(1, self.contract)):
            raise ValueError(f"{self.name}: expected every contract before {self.contract}, found {set(self.former)}")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns the archive holds, in their order."""
        return tuple(self.row.model_fields)

    @property
    def tables(self) -> tuple[str, ...]:
        """The source tables this feed reads, its own first."""
        return (self.name,) if self.join is None else (self.name, self.join.table)

    def columns_under(self, contract: int) -> tuple[str, ...]:
        """The columns the archive holds under a contract. Raises KeyError for one that is unknown."""
        return self.columns if contract == self.contract else self.former[contract].columns

    def key_under(self, contract: int) -> str:
        """The key column's name under a contract. Raises KeyError for one that is unknown."""
        return self.key if contract == self.contract else self.former[contract].key

    def upcast(self, contract: int, columns: TextColumns) -> TextColumns:
        """The columns as today's contract has them, brought there step by step from the contract they are under.

        Raises ValueError where a step does not make the columns of its next version, row for row.
        """
        for version, following in pairwise(range(contract, self.contract + 1)):
            rows = {len(values) for values in columns.values()}
            columns = self.former[version].step(columns)
            made = {len(columns[name]) for name in self.columns_under(following) if name in columns}
            if set(columns) != set(self.columns_under(following)) or made != rows:
                raise ValueError(f"{self.name}: the step from contract {version} does not make that of {following}")
        return columns


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
