"""A pipeline in an AWS account, as Terraform describes it in the parameter /totes/<environment>/stack.

Invariant: it is read with the operator's own credentials, region and rights; a DSN is read from its secret when it is
first needed, kept in memory alone and told to nobody. Reading it again finds the same.
"""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Annotated, Any

import boto3
from botocore import exceptions
from botocore.config import Config
from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from shared.errors import ConfigurationError, PipelineError, Unavailable
from shared.postgres import Dsn
from shared.secrets import Secrets

REACHED_WITHIN_SECONDS = 5.0
"""A database in the next region answers in a tenth of one; a network that drops packets never does."""
_NAME = re.compile("[a-z][a-z0-9-]{0,39}")
"""Of an environment, as in the names of its resources."""
_CONFIG = Config(retries={"mode": "standard", "max_attempts": 3}, connect_timeout=10, read_timeout=30)
_NO_CREDENTIALS = (
    exceptions.NoCredentialsError,
    exceptions.PartialCredentialsError,
    exceptions.CredentialRetrievalError,
    exceptions.TokenRetrievalError,
    exceptions.ProfileNotFound,
    exceptions.SSOError,
    exceptions.LoginError,
)
"""What the SDK says where it finds no credentials, or some that are over."""
_NOT_ALLOWED = "AccessDeniedException"
_NOT_LET_IN = frozenset(
    {"ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException", "IncompleteSignature"}
)
"""Error codes of SSM that say: these credentials are none, or no longer."""


def _with(*names: str) -> AfterValidator:
    """A mapping that has at least these; a command would meet the gap much later."""

    def has_them(found: Mapping[str, str]) -> Mapping[str, str]:
        missing = sorted(set(names) - found.keys())
        if missing:
            raise ValueError(f"expected {missing}")
        return found

    return AfterValidator(has_them)


_Buckets = Annotated[Mapping[str, str], _with("archive", "processed", "control")]
_Queues = Annotated[Mapping[str, str], _with("changes", "loads")]
_Secrets = Annotated[Mapping[str, str], _with("source", "warehouse")]


class Described(BaseModel):
    """What Terraform writes; a word that is not known here is of a newer version, and does no harm."""

    model_config = ConfigDict(frozen=True)

    environment: str
    prefix: str
    region: str
    buckets: _Buckets
    queues: _Queues
    dead_letter_queues: _Queues
    secrets: _Secrets
    """Name in the topology (source, warehouse) -> the secret's name."""
    warehouse_schema: str
    time_zone: str


@dataclass(frozen=True)
class DeployedStack:
    """One deployment. The DSNs raise ConfigurationError or Unavailable where they cannot be had or used."""

    described: Described
    running_since: datetime
    """When Terraform last changed its description: from then on it runs as it is described."""
    loader_role: None = None
    analyst_role: None = None

    @property
    def prefix(self) -> str:
        """What the names of its resources begin with."""
        return self.described.prefix

    @property
    def buckets(self) -> Mapping[str, str]:
        """Name in the topology -> bucket."""
        return self.described.buckets

    @property
    def queues(self) -> Mapping[str, str]:
        """Name in the topology -> URL."""
        return self.described.queues

    @property
    def dead_letter_queues(self) -> Mapping[str, str]:
        """Name of the queue in the topology -> URL of its dead-letter queue."""
        return self.described.dead_letter_queues

    @property
    def warehouse_schema(self) -> str:
        """Schema of the star tables."""
        return self.described.warehouse_schema

    @property
    def time_zone(self) -> str:
        """Zone of the source's timestamps."""
        return self.described.time_zone

    @cached_property
    def source_dsn(self) -> str:
        """The login the poller reads with."""
        return self._dsn("source")

    @cached_property
    def warehouse_dsn(self) -> str:
        """The login the loader writes with."""
        return self._dsn("warehouse")

    @property
    def warehouse_owner_dsn(self) -> str:
        """The loader's: a deployment knows no other, and Postgres says whether it may create."""
        return self.warehouse_dsn

    def log_of(self, function: str) -> str:
        """The function's log group."""
        return f"/aws/lambda/{self.prefix}-{function}"

    def client(self, service: str) -> Any:
        """A boto3 client in the deployment's region, with the operator's credentials."""
        return boto3.client(service, region_name=self.described.region, config=_CONFIG)

    def _dsn(self, database: str) -> str:
        secret = self.described.secrets[database]
        found = self._secrets.get(secret)
        try:
            dsn = Dsn.parse(found)
        except ConfigurationError as exc:
            raise ConfigurationError(f"The secret {secret!r} holds no DSN that can be used. {exc}") from exc
        expect_reachable(dsn, database)
        return found

    @cached_property
    def _secrets(self) -> Secrets:
        return Secrets(self.client("secretsmanager"))


def read_deployed(environment: str) -> DeployedStack:
    """The deployment of that environment. Raises ConfigurationError or Unavailable, each in one sentence."""
    if _NAME.fullmatch(environment) is None:
        raise ConfigurationError(f"Expected an environment's name such as prod in --env, found {environment!r}.")
    name = f"/totes/{environment}/stack"
    with _in_words(name):
        found = _parameter(name)
    try:
        return DeployedStack(Described.model_validate_json(found["Value"]), found["LastModifiedDate"])
    except ValidationError as exc:
        raise ConfigurationError(
            f"Expected the parameter {name} to describe a deployment as this version of totes does, and it does not: "
            "apply Terraform of this version, or use the version that was deployed."
        ) from exc


def expect_reachable(dsn: Dsn, which: str) -> None:
    """Raises Unavailable where this machine has no way to the database: a driver would wait for it at each query."""
    if dsn.host.startswith("/"):
        return
    try:
        socket.create_connection((dsn.host, dsn.port), REACHED_WITHIN_SECONDS).close()
    except OSError as exc:
        raise Unavailable(
            f"Expected to reach the {which} at {dsn.place} from this machine and could not ({exc}): a database inside "
            "a VPC is reached from within it, or through a tunnel under the same host name."
        ) from exc


def _parameter(name: str) -> Mapping[str, Any]:
    ssm = boto3.client("ssm", config=_CONFIG)
    try:
        found: Mapping[str, Any] = ssm.get_parameter(Name=name)["Parameter"]
    except ssm.exceptions.ParameterNotFound as exc:
        raise ConfigurationError(
            f"Expected the parameter {name} in {ssm.meta.region_name} and found none: `aws ssm get-parameters-by-path "
            "--path /totes --recursive` lists what is deployed there; look at the name, the region and the account."
        ) from exc
    return found


@contextmanager
def _in_words(parameter: str) -> Iterator[None]:
    """What AWS or its SDK says about reading the parameter, in one sentence with what to do."""
    try:
        yield
    except exceptions.ClientError as exc:
        raise _refused(parameter, exc.response["Error"]) from exc
    except exceptions.NoRegionError as exc:
        raise ConfigurationError(
            "Expected a region to look for the deployment in and found none: set AWS_DEFAULT_REGION, or AWS_PROFILE to "
            "a profile that has one."
        ) from exc
    except _NO_CREDENTIALS as exc:
        raise _no_credentials(f"{exc}") from exc
    except exceptions.BotoCoreError as exc:
        raise Unavailable(
            f"Expected AWS to give the parameter {parameter} and it did not answer ({_bare(exc)}): look at the network "
            "and the region, then try again."
        ) from exc


def _refused(parameter: str, error: Mapping[str, str]) -> PipelineError:
    """What an error code means for whoever asked."""
    code, said = error["Code"], error.get("Message", "")
    if code == _NOT_ALLOWED:
        return ConfigurationError(
            f"Expected to be allowed to read the parameter {parameter} and was not ({_bare(said)}): ask for "
            "ssm:GetParameter on it."
        )
    if code in _NOT_LET_IN:
        return _no_credentials(said)
    return Unavailable(f"Expected AWS to give the parameter {parameter} and it refused ({code}: {_bare(said)}).")


def _no_credentials(said: str) -> ConfigurationError:
    return ConfigurationError(
        f"Expected AWS credentials that are in force and found none ({_bare(said)}): log in, or set AWS_PROFILE, until "
        "`aws sts get-caller-identity` answers."
    )


def _bare(said: object) -> str:
    """A foreign sentence on one line, to stand in brackets inside of ours."""
    return " ".join(f"{said}".split()).rstrip(".")
