"""What applications do to the attacked tables: constant statements, each harmless where its row is not there."""

from dataclasses import dataclass, field
from enum import StrEnum

from pg8000.native import Connection

Key = tuple[str, int]
"""Table and key."""
COLUMN = {"sales_order": "units_sold", "staff": "first_name", "department": "location", "design": "design_name"}
"""What changes in each table."""
_ORDER = (
    "(sales_order_id, design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id, agreed_delivery_date, "
    "agreed_payment_date, agreed_delivery_location_id) "
    "VALUES ({key}, 1, 1, 1, {value}, 2.50, 1, '2024-05-01', '2029-05-02', 1)"
)
_INSERT = {
    "sales_order": _ORDER,
    "staff": (
        "(staff_id, first_name, last_name, department_id, email_address) VALUES ({key}, '{value}', 'O''Keefe', 1, '')"
    ),
    "design": "(design_id, design_name, file_location, file_name) VALUES ({key}, '{value}', '/usr', 'a.json')",
}


class Verb(StrEnum):
    """One kind of change."""

    INSERT = "insert"
    ORDINARY = "ordinary update"
    SILENT = "silent update"
    DELETE = "delete"
    COME_BACK = "re-insert as it was"
    BULK = "bulk update"
    MOVE = "move to another department"


@dataclass(frozen=True)
class Change:
    """One statement: what to do to which row, with which value (few values, so that rows often flip back)."""

    verb: Verb
    table: str
    key: int
    value: int

    def sql(self, spared: tuple[int, ...] = ()) -> str:
        """`spared`: keys that a bulk update leaves alone."""
        key = f"{self.table}_id"
        row = f"WHERE {key} = {self.key}"
        update = f"UPDATE {self.table} SET {COLUMN[self.table]} = {self.value}"
        statements = {
            Verb.INSERT: f"INSERT INTO {self.table} {self._values()} ON CONFLICT DO NOTHING",
            Verb.ORDINARY: f"{update}, last_updated = now() {row}",
            Verb.SILENT: f"{update} {row}",
            Verb.DELETE: f"DELETE FROM {self.table} {row}",
            Verb.BULK: f"{update}, last_updated = now() WHERE {key} <> ALL ('{{{','.join(map(str, spared))}}}')",
            Verb.MOVE: f"UPDATE staff SET department_id = {1 + self.value % 2} WHERE staff_id = {self.key}",
            Verb.COME_BACK: _COME_BACK.format(table=self.table, key=self.key),
        }
        return statements[self.verb]

    def _values(self) -> str:
        return _INSERT.get(self.table, "").format(key=self.key, value=self.value)


_COME_BACK = """
INSERT INTO {table} SELECT (jsonb_populate_record(NULL::{table}, image)).* FROM attack.journal
 WHERE name = '{table}' AND key = {key} AND image IS NOT NULL ORDER BY number DESC LIMIT 1 ON CONFLICT DO NOTHING"""
"""As it was when it was last written, so also with an old last_updated."""


@dataclass
class Writer:
    """One application's session; it remembers which rows its open transaction may have locked."""

    session: Connection
    open: bool = False
    savepoints: int = 0
    locked: set[Key] = field(default_factory=set)

    def end(self, how: str) -> None:
        """COMMIT, ROLLBACK or COMMIT AND CHAIN."""
        if self.open:
            self.session.run(how)
            self.open, self.savepoints = "CHAIN" in how, 0
            self.locked.clear()

    def begin(self) -> None:
        if not self.open:
            self.session.run("BEGIN")
            self.open = True

    def save(self) -> None:
        if self.open:
            self.savepoints += 1
            self.session.run(f"SAVEPOINT s{self.savepoints}")

    def go_back(self) -> None:
        """To the last savepoint, which stays."""
        if self.savepoints:
            self.session.run(f"ROLLBACK TO s{self.savepoints}")


class Writers:
    """Several at once. None ever waits for another: a row that one has locked is changed by that one."""

    def __init__(self, sessions: list[Connection]) -> None:
        self._all = [Writer(session) for session in sessions]

    def __getitem__(self, number: int) -> Writer:
        return self._all[number]

    def change(self, number: int, change: Change) -> None:
        """Let this writer, or the one that holds the row, make a change."""
        holder = self._holder((change.table, change.key)) or self._all[number]
        if change.verb is Verb.BULK:
            holder = self._all[number]
        spared = self._locked_by_others(holder, change.table)
        holder.session.run(change.sql(tuple(sorted(spared))))
        if holder.open:
            every = range(ALL_KEYS) if change.verb is Verb.BULK else (change.key,)
            holder.locked |= {(change.table, key) for key in every if key not in spared}

    def end_all(self) -> None:
        for one in self._all:
            one.end("COMMIT")

    def roll_back_all(self) -> None:
        for one in self._all:
            one.end("ROLLBACK")

    def _holder(self, row: Key) -> Writer | None:
        return next((one for one in self._all if row in one.locked), None)

    def _locked_by_others(self, writer: Writer, table: str) -> set[int]:
        return {key for one in self._all if one is not writer for name, key in one.locked if name == table}


ALL_KEYS = 30
"""Above every key in use."""
