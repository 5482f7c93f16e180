"""Business questions on the warehouse: one commented SQL file each, read, asked and described here.

Invariant: it only reads, in a read-only transaction; a query knows the views and dimensions alone, and
values are parameters.
"""
