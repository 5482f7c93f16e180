"""Rows that broke their contract: the object they are kept in, and when they are too many. Pure.

Invariant: no failed row is dropped, and none stops the good ones, unless so many fail that the source must have
changed: then nothing of the batch is loaded. Equal failures give equal bytes. Secret values are masked already.
"""

from collections import Counter
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from contracts.columnar import Failure, TextColumn
from contracts.messages import ChangeBatch
from shared.errors import ContractDrift

DRIFT_SHARE = 0.1
"""Above this share of a batch's rows it is the contract that no longer fits, not the rows …"""
DRIFT_ROWS = 20
"""… unless so few rows fail that a person can look at each."""
_SHOWN = 3
"""Reasons named in the message of a drift, the most frequent first."""


class QuarantinedRow(BaseModel):
    """One line of a quarantine object: what was wrong, and where the row itself still lies, whole."""

    model_config = ConfigDict(frozen=True)

    feed: str
    key: str | None
    """The row's key as text; None where the key itself is NULL."""
    field: str
    """The first offending field; empty where a rule across fields is broken."""
    value: str | None
    """The value found, masked for a secret field."""
    reason: str
    reason_class: str
    contract: int
    """The version it breaks: today's then, whatever the row was archived under."""
    object: str
    """Key of the archive object."""
    row: int
    """Index of the row in the archive object, from 0."""


def json_lines(batch: ChangeBatch, contract: int, failures: Sequence[Failure], keys: TextColumn) -> bytes:
    """The quarantine object of a change batch; `keys` is the key column of all its rows."""
    rows = (_row(batch, contract, failure, keys[failure.row]) for failure in failures)
    return "".join(f"{row.model_dump_json()}\n" for row in rows).encode()


def refuse_drift(batch: ChangeBatch, contract: int, failures: Sequence[Failure]) -> None:
    """Raise ContractDrift where more than a tenth and at least 20 of the batch's rows failed."""
    failed, total = len(failures), batch.data.object.rows
    if failed < DRIFT_ROWS or failed <= DRIFT_SHARE * total:
        return
    reasons = Counter((failure.field or "the row", failure.reason) for failure in failures)
    shown = "; ".join(f"{field}: {reason} ({times} rows)" for (field, reason), times in reasons.most_common(_SHOWN))
    raise ContractDrift(
        f"Expected rows of {batch.data.feed} contract {contract} in {batch.data.object.key}, "
        f"found {failed} of {total} that break it: {shown}. Mend the contract, then replay this message."
    )


def _row(batch: ChangeBatch, contract: int, failure: Failure, key: str | None) -> QuarantinedRow:
    return QuarantinedRow(
        feed=batch.data.feed,
        key=key,
        field=failure.field,
        value=failure.value,
        reason=failure.reason,
        reason_class=failure.reason_class,
        contract=contract,
        object=batch.data.object.key,
        row=failure.row,
    )
