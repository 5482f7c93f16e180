"""A dlt pipeline over the sales orders, run by the peers' own Python: whatever is new since the last run is merged.

Arguments: backend, loader file format, rows of a chunk, schema of the target, folder of the state. The databases come
by PEER_SOURCE and PEER_TARGET. Prints the seconds of its steps as JSON. A second run goes on where the first ended.
"""

import json
import os
import sys
import time

import dlt
from dlt.sources.sql_database import sql_table


def main(backend: str, file_format: str, chunk_rows: str, schema: str, folder: str) -> None:
    orders = sql_table(
        credentials=os.environ["PEER_SOURCE"],
        schema="public",
        table="sales_order",
        backend=backend,
        chunk_size=int(chunk_rows),
        reflection_level="full_with_precision",
        incremental=dlt.sources.incremental("last_updated"),
        primary_key="sales_order_id",
        write_disposition="merge",
    )
    pipeline = dlt.pipeline(
        schema,
        destination=dlt.destinations.postgres(os.environ["PEER_TARGET"]),
        dataset_name=schema,
        pipelines_dir=folder,
    )
    moments = [time.monotonic()]
    for step in (
        lambda: pipeline.extract(orders, loader_file_format=file_format),
        pipeline.normalize,
        lambda: pipeline.load(raise_on_failed_jobs=True),
    ):
        step()
        moments.append(time.monotonic())
    names = ("extract", "normalize", "load")
    print(json.dumps({name: moments[n + 1] - moments[n] for n, name in enumerate(names)}))


main(*sys.argv[1:])
