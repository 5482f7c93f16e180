"""Structured logs: one JSON object a line, one logger a service, the batch id as correlation id through all stages.

Invariant: no row value and no secret is ever an argument here.
"""

from aws_lambda_powertools.logging import Logger

__all__ = ["Logger", "logger"]


def logger(service: str, level: str) -> Logger:
    """The logger of one service."""
    return Logger(service=service, level=level, use_rfc3339=True, utc=True)
