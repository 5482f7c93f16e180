"""The reconciler: row hashes of source and warehouse compared, and the repairs published as change batches."""
