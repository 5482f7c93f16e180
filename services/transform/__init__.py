"""The transform: archived rows validated and remodelled to typed star-schema Parquet."""
