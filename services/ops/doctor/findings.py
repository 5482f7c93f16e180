"""What a check comes to, and what all of them come to. Pure.

Invariant: a finding that is not in order says what to do. Looking again at the same installation finds the same.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """How it is; a note is in order and still worth knowing."""

    OK = "ok"
    NOTE = "note"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True)
class Finding:
    """One check: its name, the verdict, one sentence of what was found, one of what to do (empty where nothing is)."""

    check: str
    verdict: Verdict
    found: str
    cure: str = ""


@dataclass(frozen=True)
class Examination:
    """Everything that was looked at; `reached`: whether any of the other sides answered at all."""

    findings: tuple[Finding, ...]
    reached: bool

    def count(self, verdict: Verdict) -> int:
        """How many findings have this verdict."""
        return sum(finding.verdict is verdict for finding in self.findings)


def fine(check: str, found: str) -> Finding:
    """In order."""
    return Finding(check, Verdict.OK, found)


def note(check: str, found: str, cure: str = "") -> Finding:
    """In order, and worth knowing."""
    return Finding(check, Verdict.NOTE, found, cure)


def warn(check: str, found: str, cure: str) -> Finding:
    """It works, and something is not as it should be."""
    return Finding(check, Verdict.WARN, found, cure)


def fail(check: str, found: str, cure: str) -> Finding:
    """Something does not work, or will not."""
    return Finding(check, Verdict.FAIL, found, cure)


def told(check: str, sentence: str) -> Finding:
    """Something does not work, as one sentence says: what was found, a colon, what to do."""
    found, _, cure = sentence.rpartition(": ")
    return fail(check, f"{found}.", f"{cure[:1].upper()}{cure[1:]}")


def summary(findings: Sequence[Finding]) -> str:
    """One sentence over all of them."""
    counts = {verdict: sum(finding.verdict is verdict for finding in findings) for verdict in Verdict}
    rest = f"{counts[Verdict.OK]} in order, {counts[Verdict.NOTE]} notes"
    if counts[Verdict.FAIL]:
        return f"{counts[Verdict.FAIL]} of {len(findings)} checks failed, {counts[Verdict.WARN]} warn, {rest}."
    if counts[Verdict.WARN]:
        return f"It works, and {counts[Verdict.WARN]} of {len(findings)} checks warn; {rest}."
    return f"All is well: {rest}."
