"""Sling, dlt and psql beside this project, on the same rows in the same run: `make bench-peers`.

Invariant: a time counts only where the target then holds what the source holds, by number and by checksum. No tool
sends anything about its use, and none is asked for more than its documentation offers everybody.
"""
