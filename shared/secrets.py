"""DSNs from Secrets Manager, kept until they are refused, so that a rotation is survived."""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from shared.errors import ConfigurationError, Unavailable
from shared.postgres import Connection, Dsn, connect


class Secrets:
    """Reads secrets by name and remembers them; `forget` makes the next read ask again."""

    def __init__(self, client: Any) -> None:
        """Take a boto3 client of Secrets Manager."""
        self._client = client
        self._known: dict[str, str] = {}

    def get(self, name: str) -> str:
        """The secret's current value. Raises ConfigurationError where there is none, Unavailable for now."""
        if name not in self._known:
            self._known[name] = self._read(name)
        return self._known[name]

    def forget(self, name: str) -> None:
        """The value was refused: it may have been rotated."""
        self._known.pop(name, None)

    def _read(self, name: str) -> str:
        try:
            found = self._client.get_secret_value(SecretId=name)
        except self._client.exceptions.ResourceNotFoundException as exc:
            raise _no_value(name, "found none: create it, or put the DSN in as its value") from exc
        except (ClientError, BotoCoreError) as exc:
            raise Unavailable(f"Secrets Manager did not give the secret {name!r}: {exc}.") from exc
        if "SecretString" not in found:
            raise _no_value(name, "found bytes: put it in as text")
        return str(found["SecretString"])


def _no_value(name: str, found: str) -> ConfigurationError:
    return ConfigurationError(f"Expected a secret named {name!r} in Secrets Manager with a DSN, {found}.")


def connect_by_secret(secrets: Secrets, name: str, **session: Any) -> Connection:
    """Connect with the secret's DSN; one that is refused may have been rotated, so it is read once more.

    `session` is what `connect` takes beside the DSN. Raises ConfigurationError where the newest is refused too,
    Unavailable for now.
    """
    try:
        return connect(Dsn.parse(secrets.get(name)), **session)
    except ConfigurationError:
        secrets.forget(name)
        return connect(Dsn.parse(secrets.get(name)), **session)
