"""Composition of an examination: look at each side, decide, go on whatever one of them says.

Invariant: it only reads. A side that does not answer is one finding that fails, and its other checks are left out, so
that a report is as long as there is something to know.
"""

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

from services.loader.revisions import revisions
from services.local.description import StackDescription
from services.local.topology import topology
from services.ops.deployed import DeployedStack
from services.ops.doctor import alarms, databases, resources, running, servers
from services.ops.doctor.account import Account
from services.ops.doctor.findings import Examination, Finding, fail, note, warn
from services.ops.doctor.looking import Clock, SourceFacts, WarehouseFacts, look_at_source, look_at_warehouse
from services.ops.running import checkpoints_of
from services.poller.reading import horizons, newest
from shared.checkpoint import Checkpoint, CheckpointStore
from shared.errors import PipelineError, Unavailable

T = TypeVar("T")


@dataclass(frozen=True)
class Databases:
    """The databases to look at, by what gives their DSNs; None where one is not to be looked at.

    `from_afar`: they need not be reachable from this machine, nor their secrets readable by whoever looks.
    """

    source_dsn: Callable[[], str] | None
    warehouse_dsn: Callable[[], str] | None
    source_schema: str
    warehouse_schema: str
    from_afar: bool = False


def known(dsn: str | None) -> Callable[[], str] | None:
    """What gives a DSN that was typed."""
    return None if dsn is None else lambda: dsn


@dataclass(frozen=True)
class Stack:
    """What runs between them: the account's resources, the poller's checkpoint and where its log is read.

    `state_dir` is the embedded stack's folder, whose disk may be full.
    """

    account: Account
    checkpoints: CheckpointStore
    poller_log: str
    state_dir: Path | None = None


def stack_of(found: DeployedStack | StackDescription) -> Stack:
    """An installation, as its description says; its resources go by the topology's names, under its own prefix."""
    embedded = isinstance(found, StackDescription)
    return Stack(
        account=Account(
            clients=found,
            topology=topology().model_copy(update={"prefix": found.prefix}),
            buckets=found.buckets,
            queues=found.queues,
            dead_letter_queues=found.dead_letter_queues,
            embedded=embedded,
        ),
        checkpoints=checkpoints_of(found),
        poller_log=found.log_of("poller"),
        state_dir=found.state_dir if isinstance(found, StackDescription) else None,
    )


def examine(named: Databases, stack: Stack | None, now: Clock) -> Examination:
    """Look at all of it."""
    findings: list[Finding] = []
    checkpoint, silent_seconds = _checkpoint(stack, findings)
    source = _source(named, open_since(checkpoint), now, findings)
    warehouse = _warehouse(named, now, findings)
    findings += [*of_source(source, named.source_schema), *of_warehouse(warehouse, named.warehouse_schema)]
    findings += servers.of_clocks(
        None if source is None else source.session, None if warehouse is None else warehouse.session
    )
    account = None if stack is None else _attempt(lambda: list(of_account(stack.account)), "account", findings)
    findings += account or ()
    if stack is not None:
        if account is not None:
            findings.append(running.of_poller(running.Running(checkpoint, silent_seconds, stack.poller_log)))
            findings += running.of_feeds(checkpoint)
        if stack.state_dir is not None:
            findings.append(running.of_disk(shutil.disk_usage(stack.state_dir).free, f"{stack.state_dir}"))
    reached = any(side is not None for side in (source, warehouse, account))
    return Examination(tuple(findings), reached)


def open_since(checkpoint: Checkpoint) -> Mapping[str, datetime]:
    """Virtual id of each transaction the poller met last -> the earliest moment it may have begun."""
    last = newest(horizons(checkpoint))
    return {} if last is None else last.open


def of_source(facts: SourceFacts | None, schema: str) -> Iterator[Finding]:
    """Every finding about the source."""
    if facts is None:
        return
    yield from servers.of_login("source", facts.session)
    yield servers.of_encryption("source", facts.session)
    yield from databases.of_catalog(facts.catalog)
    yield databases.of_write(facts.write, schema, facts.session.dsn.user)
    yield from databases.of_indexes(facts.tables, schema)
    yield from servers.of_statistics(facts.session)
    yield servers.of_transactions(facts.open)
    yield servers.of_connections("source", facts.session)


def of_warehouse(facts: WarehouseFacts | None, schema: str) -> Iterator[Finding]:
    """Every finding about the warehouse."""
    if facts is None:
        return
    login = facts.session.dsn
    yield from servers.of_login("warehouse", facts.session)
    yield servers.of_encryption("warehouse", facts.session)
    yield from databases.of_warehouse(facts.server, login, schema)
    if facts.rights is not None:
        known = revisions()
        yield databases.of_rights(facts.rights, login.user, schema)
        if facts.rights.usable:
            yield databases.of_migrations(facts.rights, newest=known[-1], known=frozenset(known))
        yield from databases.of_heartbeat(facts.rights)
    yield servers.of_connections("warehouse", facts.session)


def of_account(account: Account) -> Iterator[Finding]:
    """Every finding about the resources. Raises Unavailable where the account does not answer."""
    deployed = account.topology
    for name in deployed.buckets:
        yield resources.of_bucket(deployed, name, account.bucket(name), embedded=account.embedded)
    for name in deployed.queues:
        yield from resources.of_queue(deployed, name, account.queue(name))
    for name in deployed.functions:
        yield from resources.of_function(deployed, name, account.function(name), embedded=account.embedded)
    for name in deployed.secrets:
        yield resources.of_secret(deployed, name, account.secret(name))
    if account.embedded:
        yield note("alarms", "The embedded stack has no alarms: `totes status` shows what they would tell.")
    else:
        yield from _watched(account)


def _watched(account: Account) -> Iterator[Finding]:
    """Every finding about what only a deployment has: who tells its operators, of what, and by which measure."""
    deployed = account.topology
    yield resources.of_undelivered(deployed, account.undelivered())
    yield resources.of_metrics(deployed, account.metrics())
    found = account.alarms()
    yield from alarms.of_alarms(deployed, found)
    topics = (account.topic(arn) for arn in alarms.topics_of(found, deployed))
    yield from alarms.of_topics(deployed, [topic for topic in topics if topic is not None])


def _checkpoint(stack: Stack | None, findings: list[Finding]) -> tuple[Checkpoint, float]:
    """The poller's memory and the seconds since it moved; an empty one where it cannot be read."""
    found = None if stack is None else _attempt(stack.checkpoints.load_with_age, "poller", findings)
    return found or (Checkpoint(), 0.0)


def _source(
    named: Databases, first_seen: Mapping[str, datetime], now: Clock, findings: list[Finding]
) -> SourceFacts | None:
    dsn, schema = named.source_dsn, named.source_schema
    if dsn is None:
        return None
    look = partial(look_at_source, schema=schema, first_seen=first_seen, now=now)
    return _attempt(lambda: look(dsn()), "source: login", findings, from_afar=named.from_afar)


def _warehouse(named: Databases, now: Clock, findings: list[Finding]) -> WarehouseFacts | None:
    dsn, schema = named.warehouse_dsn, named.warehouse_schema
    if dsn is None:
        return None
    look = partial(look_at_warehouse, schema=schema, now=now)
    return _attempt(lambda: look(dsn()), "warehouse: login", findings, from_afar=named.from_afar)


def _attempt(look: Callable[[], T], check: str, findings: list[Finding], *, from_afar: bool = False) -> T | None:
    """What a look finds; one that could not be taken is itself a finding."""
    try:
        return look()
    except PipelineError as exc:
        findings.append(_not_looked_at(check, exc, from_afar=from_afar and isinstance(exc, Unavailable)))
        return None


def _not_looked_at(check: str, error: PipelineError, *, from_afar: bool) -> Finding:
    """From afar, what does not answer here may well answer the functions: the metrics and the poller say whether."""
    if from_afar:
        return warn(check, str(error), "It is left out here; look from a machine that may, or see `totes status`.")
    return fail(check, str(error), "Mend this first; what could not be looked at is left out here.")
