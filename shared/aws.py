"""The functions' AWS clients: all of one session, made by botocore alone.

boto3 makes the same clients and adds transfers of large files and resources to them, which nobody here uses and whose
import is a twentieth of a start. Invariant: making one connects to nothing. A client may be used by several threads.
"""

from functools import cache
from typing import Any

from botocore.session import Session, get_session


@cache
def _session() -> Session:
    """Made once: it has read regions, endpoints and configuration then."""
    return get_session()


def client(service: str) -> Any:
    """A client of an AWS service, as boto3 would make it. Our packages hold the data of services that code names."""
    return _session().create_client(service)
