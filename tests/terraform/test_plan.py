"""The rules over plans, on small plans that are made up."""

from typing import Any

from tests.terraform.plan import unencrypted, untagged

TAGS = {"project": "totes", "environment": "prod", "managed_by": "terraform"}


def change(kind: str, after: dict[str, Any] | None, *, unknown: dict[str, Any] | None = None, **more: Any) -> Any:
    told = {"actions": ["create"], "after": after, "after_unknown": unknown or {}}
    return {"address": f"{kind}.this", "mode": "managed", "type": kind, "name": "this", "change": told, **more}


def plan(*changes: Any) -> dict[str, Any]:
    return {"resource_changes": list(changes)}


KEY = change("aws_kms_key", {"tags_all": TAGS})


def bucket(algorithm: str | None) -> list[Any]:
    rule = {"apply_server_side_encryption_by_default": [{"sse_algorithm": algorithm}]}
    encryption = change("aws_s3_bucket_server_side_encryption_configuration", {"rule": [rule]}, module_address="one")
    return [change("aws_s3_bucket", {}, module_address="one"), *([] if algorithm is None else [encryption])]


def test_a_resource_that_lacks_a_tag_is_told():
    assert untagged(plan(change("aws_sqs_queue", {"tags_all": {**TAGS, "environment": None}}))) == [
        "aws_sqs_queue.this"
    ]


def test_tags_that_are_not_known_before_are_no_tags():
    assert untagged(plan(change("aws_sqs_queue", {}, unknown={"tags_all": True}))) == ["aws_sqs_queue.this"]


def test_a_resource_with_every_tag_is_fine_and_so_is_one_that_can_have_none():
    assert untagged(plan(change("aws_sqs_queue", {"tags_all": TAGS}), change("aws_iam_role_policy", {}))) == []


def test_what_is_destroyed_and_what_is_only_read_needs_no_tag():
    read = {**change("aws_subnet", {"tags_all": {}}), "mode": "data"}

    assert untagged(plan(change("aws_sqs_queue", None), read)) == []


def test_a_queue_without_any_encryption_is_told():
    assert unencrypted(plan(change("aws_sqs_queue", {"sqs_managed_sse_enabled": False}))) == ["aws_sqs_queue.this"]
    assert unencrypted(plan(change("aws_sqs_queue", {"sqs_managed_sse_enabled": True}))) == []


def test_a_bucket_without_an_encryption_beside_it_is_told():
    assert unencrypted(plan(*bucket(None))) == ["aws_s3_bucket.this"]
    assert unencrypted(plan(*bucket("AES256"))) == []


def test_where_there_is_a_key_everything_names_it():
    queue, topic = change("aws_sqs_queue", {"sqs_managed_sse_enabled": True}), change("aws_sns_topic", {})

    assert unencrypted(plan(KEY, queue, topic, *bucket("AES256"))) == [
        "aws_sqs_queue.this",
        "aws_sns_topic.this",
        "aws_s3_bucket.this",
    ]


def test_a_key_that_is_not_made_yet_counts_as_named():
    topic = change("aws_sns_topic", {}, unknown={"kms_master_key_id": True})
    secret = change("aws_secretsmanager_secret", {"kms_key_id": "arn:aws:kms:one"})

    assert unencrypted(plan(KEY, topic, secret, *bucket("aws:kms"))) == []
