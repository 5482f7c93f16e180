"""The embedded stack: Postgres and an emulated AWS on this machine, and a simulator of totesys."""
