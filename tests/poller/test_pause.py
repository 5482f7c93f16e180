"""A feed that an operator paused is not read, the others are; afterwards nothing that happened meanwhile is lost."""

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.checkpoint import Checkpoint
from tests.poller.archived import receive
from tests.poller.conftest import Bench, design


def pause(bench: Bench, paused: bool, feed: str = "design") -> None:
    """As an operator does, whoever owns the checkpoint."""
    found = bench.checkpoint().model_dump(mode="json")
    found["feeds"].setdefault(feed, {})["paused"] = paused
    bench.edit_checkpoint(**found)


def named(batches: Any) -> dict[str, Any]:
    return {row["design_id"]: row.get("design_name") for batch in batches for row in batch.rows}


def test_a_paused_feed_is_not_read_and_the_others_go_on(bench: Bench):
    poller = bench.started("design", "currency")
    poller.rest()
    before = bench.checkpoint().feed("design")
    pause(bench, paused=True)
    with bench.totesys.connect() as writer:
        design(writer, 1)
        writer.run("INSERT INTO currency (currency_id, currency_code) VALUES (9, 'GBP')")

    assert poller.claim()
    bench.scan_next()
    found = bench.polled(poller)

    assert [batch.data["feed"] for batch in found] == ["currency"]
    after = poller.checkpoint.feed("design")
    assert (after.as_of, after.polled, after.scanned) == (before.as_of, before.polled, before.scanned)


def test_changes_late_commits_and_deletions_during_a_pause_arrive_after_it(bench: Bench):
    with bench.totesys.connect() as writer:
        for number in range(1, 5):
            design(writer, number)
    poller = bench.started("design")
    bench.scan_next()
    bench.polled(poller)  # the census knows what is there
    late = bench.writer()
    late.run("BEGIN")
    design(late, 10)
    poller.rest()
    pause(bench, paused=True)
    bench.run("UPDATE design SET design_name = 'Changed', last_updated = now() WHERE design_id = 1")
    bench.run("UPDATE design SET design_name = 'Silent' WHERE design_id = 2")
    bench.run("DELETE FROM design WHERE design_id = 3")
    late.run("COMMIT")
    assert poller.claim()
    bench.scan_next()
    while_paused = bench.polled(poller)

    poller.rest()
    pause(bench, paused=False)
    assert poller.claim()
    bench.scan_next()
    found = bench.polled(poller)

    assert while_paused == []
    assert named(found) == {"1": "Changed", "2": "Silent", "10": "Wooden", "3": None}


def test_a_pause_is_seen_by_a_poller_at_work(bench: Bench):
    """Its next move of the checkpoint fails, and it looks again."""
    poller = bench.started("design")

    def sleep(seconds: float) -> None:
        bench.clock.sleep(seconds)
        if len(bench.clock.slept) == 1:
            pause(bench, paused=True)
        elif len(bench.clock.slept) == 3:
            with bench.totesys.connect() as writer:
                design(writer, 1)

    poller.run(40, sleep)

    assert receive(bench.aws) == []
    assert len(bench.clock.slept) > 4


def test_a_feed_paused_in_the_middle_of_its_backfill_keeps_nobody_busy_and_goes_on_where_it_was(bench: Bench):
    with bench.totesys.connect() as writer:
        for number in range(1, 6):
            design(writer, number)
    poller = bench.poller("design", page_rows=1, pages_per_turn=2)
    assert poller.claim()
    poller.poll()
    poller.rest()
    pause(bench, paused=True)

    assert poller.claim()
    poller.poll()
    paused_busy, pages = poller.busy, poller.checkpoint.feed("design").page
    poller.rest()
    pause(bench, paused=False)
    assert poller.claim()
    found = bench.polled(poller)

    assert (paused_busy, pages) == (False, 2)
    assert named(found).keys() == {"1", "2", "3", "4", "5"}


def test_a_checkpoint_from_before_feeds_were_paused_is_read(bench: Bench):
    bench.started("design")
    pause(bench, paused=False)
    found = bench.checkpoint().model_dump(mode="json")
    del found["feeds"]["design"]["paused"], found["draining"]

    assert not Checkpoint.model_validate(found).feed("design").paused


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["pause", "resume", "change", "delete", "poll", "other poller"]), max_size=12))
def test_whenever_a_feed_is_paused_and_resumed_the_last_poll_knows_it_all(bench: Bench, steps: list[str]):
    bench.run("TRUNCATE design CASCADE")
    with bench.totesys.connect() as writer:
        for number in range(1, 4):
            design(writer, number)
    pollers = [
        bench.poller("design", owner=f"a{len(bench.opened)}"),
        bench.poller("design", owner=f"b{len(bench.opened)}"),
    ]
    held: dict[str, Any] = {}

    def poll() -> None:
        if pollers[0].claim():
            bench.scan_next()
            for batch in bench.polled(pollers[0]):
                for row in batch.rows:
                    held[row["design_id"]] = row.get("design_name")
            pollers[0].rest()

    poll()
    for number, step in enumerate(steps):
        if step in ("pause", "resume"):
            pause(bench, paused=step == "pause")
        elif step == "change":
            bench.run("UPDATE design SET design_name = :name WHERE design_id = 1", name=f"n{number}")
        elif step == "delete":
            bench.run("DELETE FROM design WHERE design_id = 2")
        elif step == "poll":
            poll()
        else:
            pollers.reverse()
    pause(bench, paused=False)
    poll()

    there = {str(key): name for key, name in bench.run("SELECT design_id, design_name FROM design")}
    assert {key: name for key, name in held.items() if key in there} == there
