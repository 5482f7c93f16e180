"""What failed under a contract is replayed under a later one: parked messages and quarantined rows alike."""

from dataclasses import replace
from typing import Annotated

from pydantic import Field

from contracts.feeds import FEEDS
from contracts.fields import AsText, Family
from contracts.source import SalesOrderRow
from tests.ops.dlq.stage import Stage
from tests.transform.archived import changed, row
from tests.transform.upgraded import BUILDERS_V3, CONTRACT, FEEDS_V3


class FewUnits(SalesOrderRow):
    """Contract 1 with a mistake in it: nobody buys more than ten."""

    units_sold: Annotated[int, Field(le=10), AsText(Family.INTEGER, "^[0-9]+$")]


FEW = {**FEEDS, "sales_order": replace(FEEDS["sales_order"], row=FewUnits)}


def sale(key: int, units: int) -> dict[str, str | None]:
    return row("sales_order", sales_order_id=str(key), units_sold=str(units))


def test_what_was_parked_and_quarantined_under_contract_1_is_loaded_when_it_is_replayed_under_contract_3(stage: Stage):
    stage.feeds = FEW
    loaded = stage.archive("sales_order", [sale(1, 5), sale(2, 50)], revision=5)
    lost, body = changed("sales_order", [sale(3, 7), sale(1, 6)], page=9, revision=6)
    stage.send(loaded, lost)
    stage.serve()
    assert stage.open_rows() == [("sales_order", "2")]
    assert stage.waiting("changes", dead=True) == [lost.body()]

    stage.feeds, stage.builders = FEEDS_V3, BUILDERS_V3
    stage.put_back(lost, body)
    tally = stage.replay()

    assert (tally.sent, tally.failed_again, tally.complete) == (2, 0, True)
    assert stage.open_rows() == stage.waiting("changes", dead=True) == []
    shown = stage.rows("SELECT sales_order_id, units_sold FROM current_sales_order ORDER BY 1")
    assert shown == [[1, 6], [2, 50], [3, 7]]
    versions = stage.rows("SELECT key, revision, contract FROM _seen_sales_order ORDER BY 1, 2")
    assert versions == [[1, 5, 1], [1, 6, CONTRACT], [2, 5, CONTRACT], [3, 6, CONTRACT]]
