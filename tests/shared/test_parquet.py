"""Typed Parquet: exact both ways, typed for every other reader, the same bytes for the same columns."""

import weakref
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from io import BytesIO

import numpy as np
import pandas as pd
import pytest
from fastparquet import ParquetFile
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import create_model

from contracts.star import (
    STAR_TABLES,
    Date,
    DimDate,
    DimLocation,
    DimStaff,
    DimTransaction,
    FactPayment,
    FactSalesOrder,
    Int,
    Price,
    StarRow,
    Text,
)
from shared import parquet
from shared.errors import CorruptObject
from tests.shared.duck import view

MIDNIGHT = timedelta()
INT32 = st.integers(-(2**31), 2**31 - 1)
INT64 = st.integers(-(2**63), 2**63 - 1)
TEXT = st.one_of(
    st.sampled_from(["", "O'Keefe", r"\N", "👜", "a\tb\n"]), st.text(st.characters(codec="utf-8"), max_size=20)
)
DAYS = st.dates(date(1, 1, 1), date(9999, 12, 31))
CLOCK = st.integers(0, 86_399_999_999)


def money(column):
    digits = 10 if "(" in column.sql else 18
    return st.integers(-(10**digits) + 1, 10**digits - 1)


def arrays(column, count):
    """One column's array of the type that shared.parquet promises."""

    def of(values, kind):
        return st.lists(values, min_size=count, max_size=count).map(lambda drawn: np.array(drawn, kind))

    if column.python is int and column.nullable:
        nullable = st.lists(st.one_of(st.none(), INT32), min_size=count, max_size=count)
        return nullable.map(lambda drawn: pd.array(drawn, "Int32"))
    if column.python is str:
        return of(st.one_of(st.none(), TEXT) if column.nullable else TEXT, "object")
    drawn, kind = {
        int: (INT32, "int32"), bool: (st.booleans(), "bool"), date: (DAYS, "datetime64[D]"), time: (CLOCK, "int64"),
        Decimal: (money(column), "int64"),
    }[column.python]  # fmt: skip
    return of(drawn, kind)


@st.composite
def tables(draw, table):
    count = draw(st.sampled_from([0, 1, 2, 3, 8, 65]))
    columns = {column.name: draw(arrays(column, count)) for column in table.columns()}
    hashes = draw(st.lists(INT64, min_size=count, max_size=count))
    return {**columns, parquet.ROW_HASH: np.array(hashes, "int64")}


def equal(found, expected):
    return found.dtype == expected.dtype and len(found) == len(expected) and found.tolist() == expected.tolist()


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_what_was_written_is_read_back_value_by_value(table, data):
    columns = data.draw(tables(table))

    body = parquet.write(table, columns)
    found = parquet.read(table, body)

    assert list(found) == list(columns)
    assert [name for name in columns if not equal(found[name], columns[name])] == []
    assert parquet.write(table, columns) == body


def as_duckdb_says(column, values):
    """A column's array as the Python values a reader of the file should see."""
    if column.python is time:
        return [(np.datetime64(0, "us") + np.timedelta64(ticks, "us")).item().time() for ticks in values.tolist()]
    if column.python is Decimal:
        return [Decimal(hundredths).scaleb(-2) for hundredths in values.tolist()]
    return [None if value is pd.NA else value for value in values.tolist()]


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
@settings(max_examples=5, deadline=None)
@given(data=st.data())
def test_another_reader_sees_the_same_values(table, data, tmp_path_factory):
    columns = data.draw(tables(table))

    seen = view(parquet.write(table, columns), tmp_path_factory.getbasetemp())

    for column in table.columns():
        assert seen.column(column.name) == as_duckdb_says(column, columns[column.name])
    assert seen.column(parquet.ROW_HASH) == columns[parquet.ROW_HASH].tolist()


def empty(table):
    kinds = {int: "int32", str: "object", bool: "bool", date: "datetime64[D]", time: "int64", Decimal: "int64"}
    columns = {column.name: np.array([], kinds[column.python]) for column in table.columns()}
    return {**columns, parquet.ROW_HASH: np.array([], "int64")}


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
def test_the_types_are_the_warehouse_s_even_without_rows(table, tmp_path):
    columns = empty(table)
    columns |= {
        column.name: pd.array([], "Int32") for column in table.columns() if column.python is int and column.nullable
    }

    seen = view(parquet.write(table, columns), tmp_path)

    kinds = {int: "INTEGER", str: "VARCHAR", bool: "BOOLEAN", date: "DATE", time: "TIME"}
    kind_of_money = {"numeric(10, 2)": "DECIMAL(10,2)", "numeric": "DECIMAL(18,2)"}
    expected = {column.name: kinds.get(column.python) or kind_of_money[column.sql] for column in table.columns()}
    assert seen.types == {**expected, parquet.ROW_HASH: "BIGINT"}
    assert seen.rows == []


@pytest.mark.parametrize("keys", [[], [7], [1, 2**31 - 1, -(2**31)]])
def test_keys_of_deleted_rows_come_back(keys, tmp_path):
    body = parquet.write_keys(DimLocation, np.array(keys, "int32"))

    assert equal(parquet.read_keys(DimLocation, body), np.array(keys, "int32"))
    assert view(body, tmp_path).types == {"location_id": "INTEGER"}


def one_staff(**changes):
    texts = ("first_name", "last_name", "department_name", "location", "email_address")
    columns = {"staff_id": np.array([1], "int32"), **{name: np.array(["x"], "object") for name in texts}}
    return {**columns, parquet.ROW_HASH: np.array([1], "int64"), **changes}


def test_none_where_no_null_may_stand_is_never_written():
    with pytest.raises(ValueError, match="location"):
        parquet.write(DimStaff, one_staff(location=np.array([None], "object")))


def test_a_missing_column_is_never_written():
    columns = one_staff()
    del columns["location"]

    with pytest.raises(KeyError, match="location"):
        parquet.write(DimStaff, columns)


BODY = parquet.write(DimStaff, one_staff())


@pytest.mark.parametrize("cut", range(0, len(BODY), 7))
def test_a_file_cut_short_is_refused(cut):
    with pytest.raises(CorruptObject, match="dim_staff"):
        parquet.read(DimStaff, BODY[:cut])


def test_what_is_no_parquet_is_refused():
    with pytest.raises(CorruptObject):
        parquet.read(DimStaff, b"PAR1, they said" * 10)


@pytest.mark.parametrize("other", [DimDate, DimTransaction, FactPayment, FactSalesOrder])
def test_another_table_s_file_is_refused(other):
    with pytest.raises(CorruptObject, match=f"{other.key} is missing"):
        parquet.read(other, BODY)


def test_rows_and_keys_are_not_taken_for_each_other():
    with pytest.raises(CorruptObject, match="rows are and not their keys alone"):
        parquet.read_keys(DimStaff, BODY)
    with pytest.raises(CorruptObject, match="first_name is missing, last_name is missing, department_name is missing:"):
        parquet.read(DimStaff, parquet.write_keys(DimStaff, np.array([1], "int32")))


def contract(table, names=(), **changed):
    """The table's contract with the columns of those names alone, and others' types changed or new."""
    kept = {name: table.model_fields[name].rebuild_annotation() for name in names or table.model_fields}
    made = create_model(table.__name__, __base__=StarRow, **{**kept, **changed})
    made.table, made.key, made.record_id = table.table, table.key, table.record_id
    return made


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
@settings(max_examples=10, deadline=None)
@given(data=st.data())
def test_a_file_of_another_contract_reads_as_today_s_where_columns_went_and_nullable_ones_came(table, data):
    columns = data.draw(tables(table))
    names = data.draw(st.permutations(list(table.model_fields)))
    kept = names[: data.draw(st.integers(1, len(names)))]
    today = contract(table, kept, new_number=Int | None, new_text=Text | None)

    found = parquet.read(today, parquet.write(table, columns))

    rows = len(columns[parquet.ROW_HASH])
    assert list(found) == [*kept, "new_number", "new_text", parquet.ROW_HASH]
    assert [name for name in (*kept, parquet.ROW_HASH) if not equal(found[name], columns[name])] == []
    assert equal(found["new_number"], pd.array([None] * rows, "Int32"))
    assert equal(found["new_text"], np.full(rows, None, "object"))


@settings(max_examples=20, deadline=None)
@given(data=st.data())
def test_rows_read_under_another_contract_and_written_are_what_another_reader_sees_of_them(data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    body = parquet.write(DimLocation, data.draw(tables(DimLocation)))
    today = contract(DimLocation, ["postal_code", "district", "location_id"], remark=Text | None, floor=Int | None)

    seen = view(parquet.write(today, parquet.read(today, body)), folder)

    plain = view(body, folder)
    for name in ("postal_code", "district", "location_id", parquet.ROW_HASH):
        assert seen.column(name) == plain.column(name)
    assert {*seen.column("remark"), *seen.column("floor")} <= {None}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"salary": Int}, "salary is missing"),
        ({"first_name": Text | None}, "first_name is BYTE_ARRAY UTF8 and not BYTE_ARRAY UTF8 NULL"),
        ({"first_name": Int}, "first_name is BYTE_ARRAY UTF8 and not INT32"),
        ({"staff_id": Text}, "staff_id is INT32 and not BYTE_ARRAY UTF8"),
        ({"staff_id": Date}, "staff_id is INT32 and not INT32 DATE"),
        ({"staff_id": Price}, "staff_id is INT32 and not INT64 DECIMAL of 10 digits"),
        ({"staff_id": Int | None}, "staff_id is INT32 and not INT32 NULL"),
    ],
)
def test_a_file_of_a_contract_too_far_from_today_s_is_refused_and_how_to_build_it_anew_is_said(changed, why):
    with pytest.raises(CorruptObject, match=f"dim_staff, found one where {why}: .*`totes replay-archive`"):
        parquet.read(contract(DimStaff, **changed), BODY)


def origin(number):
    as_of = datetime(2026, 11, 23, 10, 15, number, 123456, tzinfo=UTC)
    return parquet.Provenance(f"feed/g1.r{2**40 + number}.v1.p7/ab", 1, 2**40 + number, 1, as_of)


@pytest.mark.parametrize("table", STAR_TABLES, ids=lambda table: table.table)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_files_put_together_hold_the_rows_of_each_in_turn_with_its_origin(table, data, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp()
    bodies = [parquet.write(table, data.draw(tables(table))) for _ in range(data.draw(st.integers(1, 4)))]

    def merged():
        parts = ((origin(number), parquet.read(table, body)) for number, body in enumerate(bodies))
        return parquet.merge(table, parts, deleted=False)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parquet, "ROW_GROUP_ROWS", data.draw(st.sampled_from([1, 9, 1000])))
        found, again = merged(), merged()

    plain, whole = [view(body, folder) for body in bodies], view(found.body, folder)
    expected = [
        (*row, said.batch, said.generation, said.revision, said.contract, said.as_of.replace(tzinfo=None))
        for number, one in enumerate(plain)
        for said in [origin(number)]
        for row in one.rows
    ]
    kinds = ("VARCHAR", "INTEGER", "BIGINT", "INTEGER", "TIMESTAMP")
    names = ("_batch", "_generation", "_revision", "_contract", "_as_of")
    assert whole.rows == expected
    assert whole.types == {**plain[0].types, **dict(zip(names, kinds, strict=True))}
    assert found == again
    assert found.rows == len(expected)


def test_files_are_put_together_one_row_group_at_a_time(monkeypatch):
    monkeypatch.setattr(parquet, "ROW_GROUP_ROWS", 3)
    held, most = [], 0

    def parts():
        nonlocal most
        for number in range(12):
            columns = one_staff()
            held.append(weakref.ref(columns[parquet.ROW_HASH]))
            most = max(most, sum(one() is not None for one in held))
            yield origin(number), columns

    merged = parquet.merge(DimStaff, parts(), deleted=False)

    assert most <= 3 + 1
    assert [group.num_rows for group in ParquetFile(BytesIO(merged.body)).row_groups] == [3, 3, 3, 3]


def test_keys_of_deleted_rows_put_together_keep_their_origin(tmp_path):
    bodies = [parquet.write_keys(DimLocation, np.array(keys, "int32")) for keys in ([4, 2], [], [4])]
    parts = [
        (origin(number), {"location_id": parquet.read_keys(DimLocation, body)}) for number, body in enumerate(bodies)
    ]

    seen = view(parquet.merge(DimLocation, parts, deleted=True).body, tmp_path)

    assert list(seen.types) == ["location_id", "_batch", "_generation", "_revision", "_contract", "_as_of"]
    assert seen.column("location_id") == [4, 2, 4]
    assert seen.column("_revision") == [2**40, 2**40, 2**40 + 2]
