"""Whichever outside call a service dies at, or loses: nothing is lost, nothing doubled, and a second run is idle.

No call is picked by hand: one after the other fails, until a run makes fewer calls than the one that was to fail.
"""

import os
from collections.abc import Iterator

import pytest

from tests.attack.calls import Fault, Mode
from tests.attack.site import CHANGES, LOADS, SCAN_SECONDS, SMALL, Site
from tests.attack.trial import Ground, Verdict
from tests.attack.writers import Change, Verb

pytestmark = pytest.mark.no_cover

WAYS = [(mode, after) for mode in Mode for after in (False, True)]
FULL = os.environ.get("TOTES_ATTACK") == "full"
EVERY = 1 if FULL else len(WAYS)
"""Each call fails in all four ways, or, to be quick, in one of them in turn."""
SETTINGS = SMALL if FULL else {**SMALL, "page_rows": 4, "reconcile_range_rows": 20}
"""Fewer pages and ranges are fewer calls."""
ROUNDS = 12
"""On one site: its journal and archive stay small, and most faults meet a pipeline that has already lived."""
BROKEN, SOUND = "2.505", "2.50"
"""Prices that the contract refuses and takes."""


def seed(ground: Ground) -> None:
    for key in range(1, 10):
        ground.source.run(Change(Verb.INSERT, "sales_order", key, 0).sql())
    for key in (11, 12):
        ground.source.run(Change(Verb.INSERT, "design", key, 0).sql())


def change(ground: Ground, number: int) -> None:
    """One round: every kind of change, in transactions of their own. What goes in one round comes back in the next."""
    go_or_come = (Verb.DELETE, Verb.COME_BACK)[number % 2]
    for one in (
        Change(Verb.INSERT, "sales_order", 100 + number, number),
        Change(Verb.ORDINARY, "sales_order", 1, number),
        Change(Verb.SILENT, "sales_order", 2, number),
        Change(go_or_come, "sales_order", 3, number),
        Change(go_or_come, "design", 11, number),
        Change(Verb.SILENT, "design", 12, number),
        Change(Verb.SILENT, "department", 1, number),
        Change(Verb.ORDINARY, "staff", 1, number),
    ):
        ground.source.run(one.sql())
    ground.source.run(
        f"UPDATE sales_order SET units_sold = {number}, last_updated = now() WHERE sales_order_id BETWEEN 5 AND 9"
    )
    price = (BROKEN, SOUND)[number % 2]
    ground.source.run(f"UPDATE sales_order SET unit_price = {price}, last_updated = now() WHERE sales_order_id = 4")


def poll(site: Site, fault: Fault) -> bool:
    site.clock.sleep(2 * SCAN_SECONDS)
    return site.poller.run(fault)


def poll_first(site: Site, fault: Fault) -> bool:
    return site.poller.run(fault)


def transform(site: Site, fault: Fault) -> bool:
    poll(site, None)
    return site.deliver(site.transform, site.sqs.messages(CHANGES)[:10], fault)


def load(site: Site, fault: Fault) -> bool:
    transform(site, None)
    return site.deliver(site.loader, site.sqs.messages(LOADS)[:10], fault)


def reconcile(site: Site, fault: Fault) -> bool:
    site.poller.run()  # no scan is due, so what is silent or gone is left to the reconciler
    site.drain()
    return site.reconciler.run(fault)


SERVICES = {
    "poll": "poller",
    "poll_first": "poller",
    "transform": "transform",
    "load": "loader",
    "reconcile": "reconciler",
}
"""Whose calls a step makes fail."""
STEPS = {step.__name__: step for step in (poll, poll_first, transform, load, reconcile)}


def faults(way: int) -> Iterator[Fault]:
    mode, after = WAYS[way]
    call = 1 + way % EVERY
    while True:
        yield Fault(call, mode, after)
        call += EVERY


@pytest.mark.parametrize("way", range(len(WAYS)), ids=["killed before", "killed after", "lost before", "lost after"])
@pytest.mark.parametrize("step", STEPS)
def test_whichever_call_fails_nothing_is_lost_and_a_second_run_changes_nothing(ground: Ground, step: str, way: int):
    site, struck = None, 0
    for number, fault in enumerate(faults(way)):
        if site is None or step == "poll_first" or number % ROUNDS == 0:
            site = begin(ground, site, captured=step != "poll_first")
        change(ground, number)

        strikes = STEPS[step](site, fault)
        made = getattr(site, SERVICES[step]).calls

        try:
            Verdict(ground, site).reach(again=FULL or not strikes or number % ROUNDS == ROUNDS - 1)
        except AssertionError as exc:
            exc.add_note(f"{step}, {fault}")
            raise
        if not strikes:
            assert made < fault.call, f"{fault} was made, and nothing failed"
            break
        struck += 1
    site.close()
    assert struck >= 3


def begin(ground: Ground, last: Site | None, *, captured: bool) -> Site:
    if last is not None:
        last.close()
    site = ground.clear(SETTINGS)
    seed(ground)
    if captured:
        site.poller.run()
        site.drain()
    return site
