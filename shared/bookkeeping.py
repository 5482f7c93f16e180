"""Names of the warehouse's own bookkeeping, for whoever writes it (the loader) and whoever reads it. Pure text."""

from contracts.star import StarRow
from shared.postgres import identifier


def seen_table(fact: type[StarRow]) -> str:
    """The bookkeeping table of a fact's observations."""
    return str(identifier("_seen_" + fact.key.removesuffix("_id")))
