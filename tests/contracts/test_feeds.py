"""What the archive holds of before a column came is read as rows that have NULL there."""

from dataclasses import replace

from contracts.feeds import FEEDS, before
from contracts.fields import Text
from contracts.source import DesignRow


class Widened(DesignRow):
    """A design with two columns that came one after the other."""

    colour: Text | None
    size: Text | None


FORMER = {
    1: before(Widened, "design_id", "colour", later=["size"]),
    2: before(Widened, "design_id", "size"),
}


def test_each_version_before_has_the_columns_it_had():
    assert FORMER[1].columns == tuple(DesignRow.model_fields)
    assert FORMER[2].columns == (*DesignRow.model_fields, "colour")
    assert {each.key for each in FORMER.values()} == {"design_id"}


def test_rows_of_before_have_null_in_every_column_that_came_since():
    feed = replace(FEEDS["design"], row=Widened, contract=3, former=FORMER)
    columns = {name: ["1", "2"] for name in DesignRow.model_fields}

    assert feed.upcast(1, columns) == {**columns, "colour": [None, None], "size": [None, None]}
    assert feed.upcast(2, {**columns, "colour": ["red", None]})["size"] == [None, None]
    assert feed.upcast(1, {name: [] for name in columns})["colour"] == []
