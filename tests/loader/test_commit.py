"""A commit that fails is no commit: the load batch is done only once it is in the warehouse."""

import pytest
from pg8000.exceptions import DatabaseError, InterfaceError

from contracts.star import DimStaff
from tests.loader.conftest import Fault, Star, load_all
from tests.loader.rows import STAFF, at, changed

LOST = InterfaceError("network error")
REFUSED = DatabaseError({"C": "40001", "M": "could not serialize access"})


@pytest.mark.parametrize("error", [LOST, REFUSED], ids=["lost on its way", "refused by the server"])
def test_a_commit_that_did_not_happen_is_made_by_the_next_try(star: Star, error: BaseException) -> None:
    counted = Fault()
    load_all(star.warehouse(counted), changed(DimStaff, [STAFF], at(1, 10)))
    made = changed(DimStaff, [{**STAFF, "location": "York"}], at(1, 20))

    report = load_all(star.warehouse(Fault(at=counted.calls, error=error)), made)

    assert report.loaded == (made.batch.id,)
    assert star.rows("SELECT location FROM dim_staff") == [["York"]]
    assert star.rows("SELECT count(*) FROM _load_batch") == [[2]]
    assert star.pauses == [0.05]
