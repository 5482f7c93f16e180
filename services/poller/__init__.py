"""The poller: changed rows of totesys into the archive, and a message for each object."""
