"""Look for known vulnerabilities of pinned requirements, and never call silence clean.

pip-audit exits 0 when it could not look a package up. Here such a run prints `not audited` and fails only where
CI_STRICT_AUDIT is set, which is where an advisory source is known to be reachable.
"""

import json
import os
import subprocess
import sys


def main(requirements: str) -> int:
    """Run pip-audit on one requirements file; 0 clean or not audited, 1 vulnerable (or not audited, if strict)."""
    command = [sys.executable, "-m", "pip_audit", "-r", requirements, "--no-deps", "--disable-pip", "-f", "json"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own arguments
    try:
        dependencies = json.loads(answer.stdout)["dependencies"]
    except (ValueError, KeyError):
        print(f"{requirements}: not audited: no advisory source")
        return int("CI_STRICT_AUDIT" in os.environ)
    vulnerable = [entry for entry in dependencies if entry.get("vulns")]
    skipped = [entry["name"] for entry in dependencies if "skip_reason" in entry]
    for entry in vulnerable:
        found = ", ".join(problem["id"] for problem in entry["vulns"])
        print(f"{requirements}: {entry['name']} {entry['version']} is vulnerable: {found}")
    if skipped:
        print(f"{requirements}: not audited: no advisory source for {len(skipped)} of {len(dependencies)} packages")
    if not vulnerable and not skipped:
        print(f"{requirements}: {len(dependencies)} packages, no known vulnerability")
    return int(bool(vulnerable) or (bool(skipped) and "CI_STRICT_AUDIT" in os.environ))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
