"""The `totes` command: what operators and developers type."""
