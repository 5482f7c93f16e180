"""The late-commit experiment: hostile writers, our poller with scan and reconciler off, and two naive readers."""
