-- What the simulator changed, row by row, written by the transaction that changed it; a schema apart from totesys's own.
CREATE SCHEMA IF NOT EXISTS totes_journal;
CREATE TABLE IF NOT EXISTS totes_journal.change (
    id bigserial PRIMARY KEY,
    feed varchar NOT NULL,
    key int NOT NULL,
    kind varchar NOT NULL,
    committed_in_txid bigint NOT NULL DEFAULT CAST(CAST(pg_current_xact_id() AS text) AS bigint),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
);
