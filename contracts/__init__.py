"""What every row and message must look like, and the one table of feeds.

Invariant: nothing here imports any other package of ours, opens a connection or reads a clock.
"""
