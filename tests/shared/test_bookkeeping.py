"""A column that is added later makes no version of the rows that were there before."""

from contracts.star import DimPaymentType, Text
from shared.bookkeeping import star_hash
from tests.conftest import Server


class Widened(DimPaymentType):
    """As it was, with two columns that came later."""

    added = ("group", "code")

    group: Text | None
    code: Text | None


def test_rows_keep_their_hash_until_a_later_column_says_something(server: Server) -> None:
    rows = (
        "(VALUES (1, 'CARD', NULL, NULL), (1, 'CARD', 'x', NULL), (1, 'CARD', NULL, 'x'), (1, 'CARD', '', NULL))"
        ' AS r (payment_type_id, payment_type_name, "group", code)'
    )
    with server.connect() as connection:
        found = connection.run(f"SELECT {star_hash(DimPaymentType, 'r')}, {star_hash(Widened, 'r')} FROM {rows}")

    before = {row[0] for row in found}
    after = [row[1] for row in found]
    assert before == {after[0]}
    assert len(set(after)) == len(after)
