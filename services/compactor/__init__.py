"""The compactor: a day's many small Parquet files written once more as a few large ones, beside them."""
