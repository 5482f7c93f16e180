"""Strategies that draw rows of any feed as text, most of them valid, some broken in the ways sources break."""

from datetime import date

from hypothesis import strategies as st

from contracts.columnar import family, nullable
from contracts.fields import Family
from contracts.source import Row

INTEGERS = st.integers(-(2**31), 2**31 - 1).map(str)
HOSTILE_TEXTS = [
    "",
    " ",
    "O'Keefe",
    "Leds",
    "007",
    r"\N",
    r"\\N",
    'a"b',
    "a,b",
    "a\tb",
    "a\nb",
    "a\rb",
    "👜",
    "\\",
    "NULL",
]
TEXTS = st.one_of(st.sampled_from(HOSTILE_TEXTS), st.text(st.characters(codec="utf-8", exclude_characters="\0")))
MONEY = st.builds(
    "{}{}.{:02d}{}".format,
    st.sampled_from(["", "-"]),
    st.integers(0, 99_999_999),
    st.integers(0, 99),
    st.sampled_from(["", "0", "000"]),
)
DATES = st.dates(date(1, 1, 1), date(9999, 12, 31)).map(lambda day: f"{day.year:04d}-{day:%m-%d}")
TIMESTAMPS = st.datetimes().map(lambda at: at.isoformat(" "))
BROKEN = st.sampled_from(
    ["", " 1", "1 ", "1_000", "1.0", "1e3", "+1", "01", "-0", "2147483648", "86400", "2.505", "99999999999999999.00",
     "\u0661\u0662", "NaN", "infinity", "2024-02-30", "2024-1-1", "0000-01-01", "10000-01-01", "2024-01-01 BC",
     "2024-01-01 00:00:00 BC", "2024-01-01T00:00:00", "2024-01-01 00:00:00Z", "2024-01-01 00:00:00.1234567",
     "2024-01-01 24:00:00", "t", "True", "yes", "1\n"]
)  # fmt: skip


def values(model: type[Row], field: str) -> st.SearchStrategy[str | None]:
    """Texts of one field: valid in most draws, broken or NULL in some."""
    valid = {
        Family.INTEGER: INTEGERS,
        Family.NUMERIC: MONEY,
        Family.BOOLEAN: st.sampled_from(["true", "false"]),
        Family.TIMESTAMP: TIMESTAMPS,
        Family.TEXT: DATES if "_date" in field else TEXTS,
    }[family(model, field)]
    if field == "transaction_type":
        valid = st.sampled_from(["SALE", "PURCHASE", "REFUND"])
    usual = st.one_of(valid, st.none()) if nullable(model, field) else valid
    return st.integers(0, 30).flatmap(lambda die: BROKEN if die == 0 else st.none() if die == 1 else usual)


def rows(model: type[Row]) -> st.SearchStrategy[list[dict[str, str | None]]]:
    """A handful of rows, as the archive gives them."""
    return st.lists(
        st.fixed_dictionaries({field: values(model, field) for field in model.model_fields}), min_size=1, max_size=8
    )
