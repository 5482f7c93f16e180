"""What a pull request is told of a plan: every change, and never a value."""

from tests.ci.test_audit import load

comment = load("plan_comment").comment


def change(
    address: str, actions: list[str], before: dict | None, after: dict | None, unknown: dict | None = None
) -> dict:
    return {
        "address": address,
        "change": {"actions": actions, "before": before, "after": after, "after_unknown": unknown or {}},
    }


def test_every_change_is_told_and_no_value_of_it() -> None:
    plan = {
        "resource_changes": [
            change("aws_secret.a", ["create"], None, {"value": "hush-1"}),
            change("aws_lambda_function.b", ["update"], {"memory": "hush-2", "x": 1}, {"memory": "hush-3", "x": 1}),
            change("aws_sqs_queue.c", ["delete"], {"name": "hush-4"}, None),
            change(
                "aws_thing.d", ["delete", "create"], {"name": "hush-5", "arn": "hush-6"}, {"name": "n"}, {"arn": True}
            ),
            change("aws_same.e", ["no-op"], {"name": "hush-7"}, {"name": "hush-7"}),
        ]
    }

    said = comment(plan)

    assert said.splitlines()[1] == "### Terraform plan: 1 to change, 1 to create, 1 to destroy, 1 to replace"
    assert "- **change** `aws_lambda_function.b`: `memory`" in said
    assert "- **replace** `aws_thing.d`: `arn`, `name`" in said
    assert "aws_same.e" not in said
    assert "hush" not in said


def test_a_plan_without_changes_says_so() -> None:
    assert "no changes" in comment({})


def test_a_plan_longer_than_a_comment_may_be_is_cut_and_says_how_much() -> None:
    plan = {
        "resource_changes": [change(f"aws_thing.{'x' * 90}{number}", ["create"], None, {}) for number in range(999)]
    }

    said = comment(plan)

    assert len(said) < 65_536
    told = said.count("- **create**")
    assert f"… and {999 - told} more" in said
