"""How gunicorn serves Superset: one process of several threads, which ends with whoever started it.

Invariant: the starter holds the other end of the standard input; the system closes it however the starter ends.
"""

import os
import signal
import sys
from threading import Thread
from typing import Any

workers = 1
worker_class = "gthread"
threads = 8
timeout = 120
graceful_timeout = 1
accesslog = None
control_socket_disable = True  # nobody manages it but who started it


def when_ready(_server: Any) -> None:
    """Wait for the end of the standard input beside the serving, and end then."""
    Thread(target=_end_with_the_starter, daemon=True).start()


def _end_with_the_starter() -> None:
    sys.stdin.buffer.read()
    os.kill(os.getpid(), signal.SIGTERM)
