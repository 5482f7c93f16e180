"""Run the state machine for a number of examples. A seed repeats it as far as two databases can be repeated."""

from collections import Counter

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.attack.machine import Attack
from tests.attack.trial import Ground

BEGINNING = 1
"""Hypothesis counts the step that chooses an example's settings."""


def attack(
    ground: Ground, counts: Counter[str], *, examples: int, steps: int, number: int | None = None, shrink: bool = True
) -> None:
    """Run so many examples of so many steps, each; raises what failed, with the example that Hypothesis found."""
    machine = type("Attack", (Attack,), {"ground": ground, "counts": counts})
    if number is not None:
        machine = seed(number)(machine)
    phases = [Phase.generate, Phase.shrink] if shrink else [Phase.generate]
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps + BEGINNING,
            phases=phases,
            deadline=None,
            database=None,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        ),
        _min_steps=0 if shrink else steps + BEGINNING - 1,  # else a long example ends early
    )
