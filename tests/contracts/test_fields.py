"""Each field type accepts what Postgres prints, and nothing that merely looks like it."""

from datetime import date, datetime
from decimal import Decimal

import pytest
from pydantic import TypeAdapter, ValidationError

from contracts import fields

ACCEPTED = [
    (fields.Int, "0", 0),
    (fields.Int, "-2147483648", -(2**31)),
    (fields.Int, "2147483647", 2**31 - 1),
    (fields.SecretInt, "67305075", 67305075),
    (fields.Text, "", ""),
    (fields.Text, " O'Keefe\n", " O'Keefe\n"),
    (fields.Text, "00730 783349", "00730 783349"),
    (fields.Price, "2.50", Decimal("2.50")),
    (fields.Price, "2.5", Decimal("2.5")),
    (fields.Price, "2.5000", Decimal("2.50")),
    (fields.Price, "-99999999.99", Decimal("-99999999.99")),
    (fields.Amount, "9999999999999999.99", Decimal("9999999999999999.99")),
    (fields.Flag, "true", True),
    (fields.Flag, "false", False),
    (fields.DateText, "0001-01-01", date(1, 1, 1)),
    (fields.DateText, "9999-12-31", date(9999, 12, 31)),
    (fields.DateText, "2024-02-29", date(2024, 2, 29)),
    (fields.Timestamp, "2022-11-03 14:20:52", datetime.fromisoformat("2022-11-03 14:20:52")),
    (fields.Timestamp, "2022-11-03 14:20:52.186", datetime.fromisoformat("2022-11-03 14:20:52.186000")),
    (fields.Timestamp, "2022-11-03 14:20:52.000001", datetime.fromisoformat("2022-11-03 14:20:52.000001")),
]

ARABIC_DIGITS = str.maketrans("0123456789", "".join(map(chr, range(0x660, 0x66A))))
REFUSED = {
    "Int": ["", " 1", "1 ", "1\n", "1_000", "1.0", "1e3", "+1", "01", "-0", "0x1", "2147483648", "-2147483649", "NaN",
            "123".translate(ARABIC_DIGITS), None],
    "Price": ["", "2.505", "1_000.00", ".5", "5.", "1e3", "NaN", "Infinity", "-Infinity", "+1", "1,000.00",
              "100000000.00", "2.50".translate(ARABIC_DIGITS), None],
    "Amount": ["2.505", "99999999999999999.99", "NaN", "Infinity"],
    "Flag": ["", "t", "f", "True", "TRUE", "1", "0", "yes", "on", " true", None],
    "DateText": ["", "86400", "2024-1-1", "2024-02-30", "20240101", "0000-01-01", "10000-01-01", "2024-01-01 BC",
                 "-0044-03-15", "infinity", "-infinity", "2024-01-01 00:00:00", "2024-01-01T00:00:00", " 2024-01-01",
                 "2024-01-01".translate(ARABIC_DIGITS), None],
    "Timestamp": ["", "86400", "2024-01-01", "2024-01-01T00:00:00", "2024-01-01 00:00", "2024-01-01 00:00:00Z",
                  "2024-01-01 00:00:00+00", "2024-01-01 00:00:00.1234567", "2024-01-01 00:00:00.",
                  "2024-01-01 24:00:00", "2024-01-01 00:00:60", "10000-01-01 00:00:00", "0044-03-15 12:00:00 BC",
                  "infinity", "-infinity", None],
    "Text": [None],
}  # fmt: skip


@pytest.mark.parametrize(("kind", "text", "value"), ACCEPTED)
def test_a_text_that_passes_means_one_value(kind, text, value):
    assert TypeAdapter(kind).validate_python(text) == value


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REFUSED.items() for text in texts])
def test_a_text_that_postgres_would_not_print_or_we_cannot_hold_is_refused(kind, text):
    with pytest.raises(ValidationError):
        TypeAdapter(getattr(fields, kind)).validate_python(text)


@pytest.mark.parametrize(
    ("kind", "value"), [(fields.Int, 1), (fields.Price, Decimal(1)), (fields.Flag, True), (fields.Price, 2.5)]
)
def test_only_text_is_parsed_so_that_no_float_slips_in(kind, value):
    with pytest.raises(ValidationError):
        TypeAdapter(kind).validate_python(value)
