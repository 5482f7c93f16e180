"""What each function may do by its role's policies, held against what it did."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Difference:
    """Of one function: what it did without leave, and what it may do and did not."""

    missing: frozenset[str]
    unused: frozenset[str]


def allowed(iam: Any, role: str) -> frozenset[str]:
    """Every action that the role's own policies allow, whatever the resource."""
    documents = [
        iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
        for name in iam.list_role_policies(RoleName=role)["PolicyNames"]
    ]
    for policy in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]:
        version = iam.get_policy(PolicyArn=policy["PolicyArn"])["Policy"]["DefaultVersionId"]
        found = iam.get_policy_version(PolicyArn=policy["PolicyArn"], VersionId=version)
        documents.append(found["PolicyVersion"]["Document"])
    return frozenset(action for document in documents for action in _actions(document))


def difference(allowed: frozenset[str], used: Mapping[str, int]) -> Difference:
    return Difference(missing=frozenset(used) - allowed, unused=allowed - frozenset(used))


def _actions(document: Mapping[str, Any]) -> list[str]:
    statements = document["Statement"]
    return [
        action
        for statement in (statements if isinstance(statements, list) else [statements])
        if statement["Effect"] == "Allow"
        for action in (statement["Action"] if isinstance(statement["Action"], list) else [statement["Action"]])
    ]
