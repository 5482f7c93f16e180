"""The contracts as they were released: published, compared, proven and documented."""
