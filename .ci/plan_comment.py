"""`terraform show -json PLAN | python plan_comment.py`: what a plan would do, as Markdown, without a single value.

Invariant: addresses, actions and names of attributes are all it prints, so nothing that a plan holds can get into a
comment or a log. The first line marks the comment, by which the next run finds it and brings it up to date.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

MARK = "<!-- terraform plan -->"
LONGEST = 60_000
"""Characters; GitHub refuses a comment of more than 65,536."""
WORDS = {
    ("create",): "create",
    ("update",): "change",
    ("delete",): "destroy",
    ("delete", "create"): "replace",
    ("create", "delete"): "replace",
    ("forget",): "forget",
}


def comment(plan: Mapping[str, Any]) -> str:
    """The plan's changes, a line each, under their number; cut where it would be longer than GitHub takes."""
    lines = [*_changes(plan)]
    counted = Counter(line.split(" ", 2)[1].strip("*") for line in lines)
    head = ", ".join(f"{number} to {word}" for word, number in sorted(counted.items())) or "no changes"
    body = ""
    for number, line in enumerate(lines):
        if len(body) + len(line) > LONGEST:
            body += f"- … and {len(lines) - number} more\n"
            break
        body += f"{line}\n"
    return f"{MARK}\n### Terraform plan: {head}\n\n{body}"


def _changes(plan: Mapping[str, Any]) -> Iterator[str]:
    for resource in plan.get("resource_changes", []):
        change = resource["change"]
        if word := WORDS.get(tuple(change["actions"])):
            attributes = ", ".join(f"`{name}`" for name in _touched(change)) if word in ("change", "replace") else ""
            yield f"- **{word}** `{resource['address']}`{': ' if attributes else ''}{attributes}"


def _touched(change: Mapping[str, Any]) -> list[str]:
    """Names of the attributes that differ, or that are known only after apply."""
    before, after, unknown = (change.get(key) or {} for key in ("before", "after", "after_unknown"))
    names = {name for name in {*before, *after} if before.get(name) != after.get(name)}
    return sorted(names | {name for name, value in unknown.items() if value and name in before})


if __name__ == "__main__":
    print(comment(json.load(sys.stdin)), end="")
