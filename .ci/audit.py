"""Look for known vulnerabilities of locked distributions, with pip-audit and safety, and never call silence clean.

pip-audit exits 0 when it could not look a package up, and safety fails without a word on why. Here a tool that had no
advisory source says `not audited: no advisory source`; that fails where it must not happen, in GitHub's CI, and nowhere
else. safety asks more hosts than one and brings 45 distributions: it has an environment of its own, which is made only
where its source answers.
"""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STRICT = os.environ.get("GITHUB_ACTIONS") == "true"
"""Whether an advisory source is known to be reachable, so that one that is not is a fault."""
SOURCE_OF_SAFETY = ("pyup.io", 443)
ANSWERS_WITHIN_SECONDS = 5.0
SAFETY_FOLDER = Path(sys.prefix) / "safety"
SAFETY_REQUIREMENTS = Path(__file__).parent / "requirements-safety.txt"


@dataclass(frozen=True)
class Audit:
    """What one tool found: distributions it knows all about, those it could not look up, and vulnerabilities."""

    tool: str
    audited: int = 0
    skipped: int = 0
    vulnerable: tuple[str, ...] = ()

    def sentences(self, requirements: str) -> list[str]:
        """What to print: never that nothing is known where something was not looked up."""
        said = [f"{requirements}: {self.tool}: {found}" for found in self.vulnerable]
        if not self.audited and not self.vulnerable:
            return [f"{requirements}: {self.tool}: not audited: no advisory source"]
        if self.skipped:
            said.append(f"{requirements}: {self.tool}: {self.skipped} not audited: no advisory source")
        if not said:
            said.append(f"{requirements}: {self.tool}: {self.audited} distributions, no known vulnerability")
        return said

    def failed(self, *, strict: bool) -> bool:
        """Whether the step must fail."""
        return bool(self.vulnerable) or (strict and (bool(self.skipped) or not self.audited))


def of_pip_audit(printed: str) -> Audit:
    """What pip-audit's JSON comes to; what is none is no audit."""
    try:
        entries: Sequence[Mapping[str, Any]] = json.loads(printed)["dependencies"]
    except (ValueError, KeyError):
        return Audit("pip-audit")
    skipped = sum("skip_reason" in entry for entry in entries)
    vulnerable = tuple(
        f"{entry['name']} {entry['version']} is vulnerable: {', '.join(problem['id'] for problem in entry['vulns'])}"
        for entry in entries
        if entry.get("vulns")
    )
    return Audit("pip-audit", len(entries) - skipped, skipped, vulnerable)


def of_safety(printed: str) -> Audit:
    """What safety's JSON comes to; it stands between two banners, and what is none is no audit."""
    try:
        report = json.loads(printed[printed.index("{") : printed.rindex("}") + 1])
        audited = int(report["report_meta"]["packages_found"])
        vulnerable = tuple(
            f"{each['package_name']} {each['analyzed_version']} is vulnerable: {each['vulnerability_id']}"
            for each in report["vulnerabilities"]
        )
    except (ValueError, KeyError, TypeError):
        return Audit("safety")
    return Audit("safety", audited, 0, vulnerable)


def pip_audit(requirements: str) -> Audit:
    """Ask PyPI's advisories about every distribution of a lock."""
    arguments = ["-r", requirements, "--no-deps", "--disable-pip", "-f", "json"]
    return of_pip_audit(_printed([sys.executable, "-m", "pip_audit", *arguments]))


def safety(requirements: str) -> Audit:
    """Ask safety's free advisories, which need no account: its `scan` does, so this is its older `check`."""
    try:
        socket.create_connection(SOURCE_OF_SAFETY, ANSWERS_WITHIN_SECONDS).close()
    except OSError:
        return Audit("safety")
    python = SAFETY_FOLDER / "bin" / "python"
    if not python.exists():
        uv = str(Path(sys.executable).parent / "uv")
        _printed([uv, "venv", "--quiet", "--python", sys.executable, SAFETY_FOLDER])
        _printed([uv, "pip", "install", "--quiet", "--python", python, "--requirement", SAFETY_REQUIREMENTS])
    check = ["--disable-optional-telemetry", "check", "--file", requirements, "--output", "json"]
    return of_safety(_printed([python, "-m", "safety", *check]))


def _printed(command: Sequence[str | Path]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout  # noqa: S603 - our own arguments


def main(requirements: str) -> int:
    """Audit one lock with both tools; 0 clean or (not in GitHub's CI) not audited, 1 vulnerable."""
    audits = [pip_audit(requirements), safety(requirements)]
    for audit in audits:
        print("\n".join(audit.sentences(requirements)))
    return int(any(audit.failed(strict=STRICT) for audit in audits))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
