"""`python -m tests.mutations`: apply deliberate bugs one by one and show that the suite catches each.

In a copy of the working tree. The tests named pass there before any bug is made, or their failing would prove nothing.
"""

import argparse
import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.mutations.checkout import MovedCode, copy_tree, expect_own_code, mutated
from tests.mutations.mutations import MUTATIONS, Mutation
from tests.mutations.trial import PASSED, Outcome, Run, judge, run_tests

NAME_WIDTH = max(len(one.name) for one in MUTATIONS)


@dataclass(frozen=True)
class Result:
    """One bug, what it would cost, and what became of it."""

    name: str
    loss: str
    outcome: Outcome
    caught_by: str
    reason: str
    seconds: float

    def line(self) -> str:
        """As it is printed: for a catch the test alone, else the reason."""
        told = self.caught_by if self.outcome is Outcome.CAUGHT else self.reason
        return f"{self.outcome:8}  {self.name:{NAME_WIDTH}}  {self.seconds:5.1f} s  {told}"


def main() -> int:
    """Run the mutations asked for; 0 if each was caught, 1 if one was not, 2 if nothing could be shown."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asked = _arguments()
    chosen = [one for one in MUTATIONS if not asked.only or one.name in asked.only]
    with tempfile.TemporaryDirectory(prefix="totes-mutations-") as folder:
        copy = Path(folder).resolve()
        try:
            copy_tree(copy)
            expect_own_code(copy)
            baseline = show_baseline(copy, chosen)
            if baseline.code != PASSED:
                print(f"{baseline.output}\nA test fails without any bug: nothing can be shown.")
                return 2
            results = list(take_turns(copy, chosen, keep_going=asked.keep_going))
        except MovedCode as exc:
            print(exc)
            return 2
    return tell(results, len(chosen), asked.json)


def show_baseline(copy: Path, chosen: Sequence[Mutation]) -> Run:
    """Every test named, once, with no bug."""
    tests = list(dict.fromkeys(test for one in chosen for test in one.tests))
    baseline = run_tests(copy, tests)
    print(f"Without a bug: {(baseline.output.strip().splitlines() or [''])[-1]}", flush=True)
    return baseline


def take_turns(copy: Path, chosen: Sequence[Mutation], *, keep_going: bool) -> Iterator[Result]:
    """One bug after the other, up to the first that is not caught unless asked to go on."""
    for one in chosen:
        with mutated(copy, one.edits):
            run = run_tests(copy, one.tests)
        result = Result(one.name, one.loss, **asdict(judge(run.code, run.output)), seconds=round(run.seconds, 1))
        print(result.line(), flush=True)
        yield result
        if result.outcome is not Outcome.CAUGHT and not keep_going:
            return


def tell(results: Sequence[Result], asked: int, path: Path | None) -> int:
    """The sum, on the terminal and, if a path is given, with every result as JSON."""
    caught = sum(one.outcome is Outcome.CAUGHT for one in results)
    print(f"{caught} of {asked} caught")
    if path is not None:
        report = {"caught": caught, "mutations": asked, "results": [asdict(one) for one in results]}
        path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0 if caught == asked else 1


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.mutations", description=__doc__)
    parser.add_argument(
        "--only", action="append", metavar="NAME", choices=[one.name for one in MUTATIONS], help="may be repeated"
    )
    parser.add_argument("--json", type=Path, help="also write the results here")
    parser.add_argument("--keep-going", action="store_true", help="go on behind a bug that was not caught")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
