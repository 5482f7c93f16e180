"""How much room on the disk an embedded stack takes."""

NEEDED_BYTES = 256 * 2**20
"""Free space that a new stack takes: two databases of 60 MB with their logs, and some room for rows."""
