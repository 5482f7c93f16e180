"""What is done to the contracts of a copied checkout: the mistake that was deployed, and how it is mended.

Invariant: every edit finds the very text it replaces, or says so; nothing of this repository is edited.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("contracts", "shared", "services", "terraform")
CONTRACTS = "contracts/source.py"

IMPORTS = (
    "from pydantic import BaseModel, ConfigDict, model_validator\n",
    "from decimal import Decimal\nfrom typing import Annotated\n\n"
    "from pydantic import BaseModel, ConfigDict, Field, model_validator\n",
)
FIELDS = ("from contracts.fields import Amount", "from contracts.fields import AsText, Family, Amount")
TIGHT_FIELDS = (
    '    units_sold: Int\n    """How many bags were sold."""\n    unit_price: Price\n',
    '    units_sold: Annotated[int, Field(ge=1, le=1000), AsText(Family.INTEGER, "^[0-9]+$")]\n'
    '    """How many bags were sold."""\n'
    "    unit_price: Annotated[Decimal, Field(max_digits=4, decimal_places=2), "
    'AsText(Family.NUMERIC, r"^[0-9]+([.][0-9]+)?$")]\n',
)
TIGHT_RULE = (
    '    """A row of `sales_order`."""\n',
    '    """A row of `sales_order`."""\n\n'
    "    rules: ClassVar[Mapping[str, Rule]] = {\n"
    '        "an order is delivered before it is paid": lambda columns: [\n'
    "            delivered <= paid\n"
    "            for delivered, paid in zip(\n"
    '                columns["agreed_delivery_date"], columns["agreed_payment_date"], strict=True\n'
    "            )\n"
    "        ]\n"
    "    }\n",
)
WHOLE_NUMBER = (
    "    item_quantity: Int\n",
    '    item_quantity: Annotated[int, AsText(Family.NUMERIC, r"^[0-9]+([.]0+)?$")]\n',
)


@dataclass(frozen=True)
class Checkout:
    """The code that is deployed: a copy, so that its contracts may be wrong."""

    folder: Path

    @classmethod
    def copy(cls, folder: Path) -> "Checkout":
        for package in PACKAGES:  # with its bytecode, which holds for a copy of the same time
            shutil.copytree(ROOT / package, folder / package)
        return cls(folder)

    def tighten(self) -> None:
        """The mistake: three rules that 7 of 1,000 good orders break."""
        self._edit(IMPORTS, FIELDS, TIGHT_FIELDS, TIGHT_RULE)

    def mend(self) -> None:
        """The contract as it should be, and a quantity that may be printed with decimals."""
        self._edit(*((new, old) for old, new in (TIGHT_FIELDS, TIGHT_RULE)), WHOLE_NUMBER)

    def _edit(self, *edits: tuple[str, str]) -> None:
        path = self.folder / CONTRACTS
        text = path.read_text(encoding="utf-8")
        for old, new in edits:
            if text.count(old) != 1:
                raise AssertionError(f"expected {old!r} once in {CONTRACTS}, found it {text.count(old)} times")
            text = text.replace(old, new)
        path.write_text(text, encoding="utf-8")
