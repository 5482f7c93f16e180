"""The prices as they stand in terraform/prices.yaml, checked.

Invariant: every price says of which region and day it is and who said so, or that nobody could be asked. Pure: reading
the file aside, no clock or network.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field

FILE = Path(__file__).parents[2] / "terraform" / "prices.yaml"
UNVERIFIED = "unverified"


class Price(BaseModel):
    """US dollars for one unit, as `source` gave it at `date`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd: Annotated[float, Field(gt=0)]
    unit: str
    date: Annotated[str, Field(pattern=r"^(\d{4}(-\d\d-\d\d)?|undated)$")]
    source: Annotated[str, Field(pattern=r"^(https://\S+|unverified)$")]

    @property
    def verified(self) -> bool:
        """Whether somebody could be asked."""
        return self.source != UNVERIFIED


class Prices(BaseModel):
    """All prices, of one region."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    region: str
    prices: Mapping[str, Price]


@cache
def prices() -> Prices:
    """Read the file."""
    return Prices.model_validate(yaml.safe_load(FILE.read_text()))
