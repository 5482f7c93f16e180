"""What must hold of every plan, whatever is in it: pure functions over the JSON of `terraform show -json`."""

from collections.abc import Iterator, Mapping
from typing import Any

Plan = Mapping[str, Any]
TAGS = ("project", "environment", "managed_by")
"""By which a bill and an account's list tell what belongs to what."""
KEY_OF = {
    "aws_cloudwatch_log_group": "kms_key_id",
    "aws_lambda_function": "kms_key_arn",
    "aws_secretsmanager_secret": "kms_key_id",
    "aws_sns_topic": "kms_master_key_id",
    "aws_sqs_queue": "kms_master_key_id",
}
"""Type -> where it names a key. Each but the queue AWS encrypts in any case, with a key of its own."""
ALGORITHMS = ("AES256", "aws:kms")


def untagged(plan: Plan) -> list[str]:
    """Addresses of resources that can be tagged and lack a tag."""
    return [change["address"] for change in _kept(plan) if _can_be_tagged(change) and not _is_tagged(change)]


def unencrypted(plan: Plan) -> list[str]:
    """Addresses of what could be encrypted and is not; where the plan has a key, of what does not name it."""
    own_key = any(change["type"] == "aws_kms_key" for change in _kept(plan))
    return [change["address"] for change in _kept(plan) if not _is_encrypted(plan, change, own_key=own_key)]


def _kept(plan: Plan) -> Iterator[Mapping[str, Any]]:
    """What will be there after an apply, data sources aside."""
    for change in plan["resource_changes"]:
        if change["mode"] == "managed" and change["change"]["after"] is not None:
            yield change


def _can_be_tagged(change: Mapping[str, Any]) -> bool:
    unknown = change["change"].get("after_unknown") or {}
    return "tags_all" in change["change"]["after"] or "tags_all" in unknown


def _is_tagged(change: Mapping[str, Any]) -> bool:
    tags = change["change"]["after"].get("tags_all") or {}
    return all(tags.get(tag) for tag in TAGS)


def _is_encrypted(plan: Plan, change: Mapping[str, Any], *, own_key: bool) -> bool:
    kind, after = change["type"], change["change"]["after"]
    if kind == "aws_s3_bucket":
        return _bucket_is_encrypted(plan, change, own_key=own_key)
    if kind not in KEY_OF:
        return True
    if own_key:
        return _told(change, KEY_OF[kind])
    return kind != "aws_sqs_queue" or bool(after.get("sqs_managed_sse_enabled"))


def _bucket_is_encrypted(plan: Plan, bucket: Mapping[str, Any], *, own_key: bool) -> bool:
    """By the encryption beside it, in the same module."""
    found = [
        change["change"]["after"]
        for change in _kept(plan)
        if change["type"] == "aws_s3_bucket_server_side_encryption_configuration"
        and (change.get("module_address"), change["name"]) == (bucket.get("module_address"), bucket["name"])
    ]
    asked = ALGORITHMS[1:] if own_key else ALGORITHMS
    return any(
        applied["sse_algorithm"] in asked
        for after in found
        for rule in after["rule"]
        for applied in rule["apply_server_side_encryption_by_default"]
    )


def _told(change: Mapping[str, Any], attribute: str) -> bool:
    """Whether an attribute has a value, or will have one that is known only then."""
    unknown = change["change"].get("after_unknown") or {}
    return bool(change["change"]["after"].get(attribute) or unknown.get(attribute))
