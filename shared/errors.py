"""One family of errors; the class is the decision, and only a service's outermost loop catches.

Invariant: every message is one sentence for an operator: what was expected, what was found, where, what to do.
Nothing ever branches on a message's text.
"""


class PipelineError(Exception):
    """Base of every error the pipeline raises on purpose."""


class ConfigurationError(PipelineError):
    """Somebody must change a setting, a privilege or a schema; trying again alone will not help."""


class Unavailable(PipelineError):
    """The other side did not answer or refused for now: the same call may succeed later."""


class SourceUnavailable(Unavailable):
    """totesys cannot be read now."""


class WarehouseUnavailable(Unavailable):
    """The load batch is fine, the warehouse is not: let the queue redeliver it."""


class ObjectStoreUnavailable(Unavailable):
    """S3 did not answer, or failed for now."""


class QueueUnavailable(Unavailable):
    """SQS did not acknowledge."""


class NotTried(Unavailable):
    """The invocation was nearly over before the message's turn came: nothing is known against it."""


class NewerThanCode(Unavailable):
    """The message is fine, this code is too old for it: let the queue redeliver it until the newer code is deployed."""


class ContractViolation(PipelineError):
    """This message can never succeed as it is: park it with the reason."""

    reason_class = "contract"


class MalformedMessage(ContractViolation):
    """The envelope is no change batch, load batch or heartbeat, of this code's version or any before."""

    reason_class = "malformed_message"


class CorruptObject(ContractViolation):
    """The object is missing, truncated, or not the one its digest names."""

    reason_class = "corrupt_object"


class ContractDrift(ContractViolation):
    """So many rows fail that the source must have changed: none of the batch is loaded."""

    reason_class = "contract_drift"


class PositionConflict(ContractViolation):
    """Two different rows claim one position of one key, which exact history cannot hold."""

    reason_class = "position_conflict"


class CheckpointConflict(PipelineError):
    """Another poller moved the checkpoint: reload it and forget what was only in memory."""


class SourceChanged(ConfigurationError):
    """The source is another database than the checkpoint's; an operator must say that this is meant."""
