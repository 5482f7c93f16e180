"""The adapters: Postgres, object store, queues, Parquet, settings, telemetry. Imports contracts and nothing else."""
