"""When deletions are so many that nobody should carry them out unasked. Pure."""

LARGEST_SHARE_DELETED = 0.2
"""Of a feed's live rows: more looks like a mistake, in the source or in a grant."""
ALWAYS_DELETABLE = 19
"""Rows that may go whatever their share: small tables lose a fifth of their rows on an ordinary day."""


def too_many(gone: int, live: int) -> bool:
    """Whether so many deletions of a feed with `live` rows must be asked for first."""
    return gone > max(ALWAYS_DELETABLE, LARGEST_SHARE_DELETED * live)
