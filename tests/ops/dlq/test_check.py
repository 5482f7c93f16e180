"""A check gives the verdict that the pipeline would give, and sends and stores nothing."""

from dataclasses import replace

import pytest

from contracts.feeds import FEEDS
from contracts.messages import LoadBatch, Position
from contracts.source import StaffRow
from services.loader.load import fetch, load
from services.ops.dlq.check import MISTAKE, NEWER, UNAVAILABLE, Checker, Result, checked
from services.ops.dlq.entries import looking
from services.ops.dlq.filters import Filter
from services.ops.dlq.report import as_json, check_view, report_of
from services.transform.star import BUILDERS, UNKNOWN, dim_staff
from shared.errors import WarehouseUnavailable
from tests.ops.dlq.conftest import Waits, site_at
from tests.ops.dlq.test_listing import printed
from tests.transform.archived import changed, deleted, row, rows


def results(site, places=None):
    with looking(site.places, Filter(), wait=Waits()) as entries:
        return list(checked(Checker(places or site.places), entries))


def verdict(site):
    ((_, result),) = results(site)
    return result


def objects(site):
    return {
        (bucket, version["Key"], version["VersionId"])
        for bucket in (site.aws.archive, site.aws.processed)
        for version in site.aws.s3.list_object_versions(Bucket=bucket).get("Versions", [])
    }


def waiting(site):
    return [(place.queue.depth(), place.dead_letters.depth()) for place in site.places.queues.values()]


def parked(site, batch, body, cause="contract"):
    site.park("changes", site.archive(batch, body).body(), reason="It broke.", reason_class=cause)


class LaxStaffRow(StaffRow):
    """Today's contract of staff, were a first name allowed to be missing."""

    first_name: str | None  # type: ignore[assignment]


def lax_staff(rows):
    return dim_staff({**rows, "first_name": [name or UNKNOWN for name in rows["first_name"]]})


def mended(site):
    """The installation after the contract of staff was mended."""
    feeds = {**FEEDS, "staff": replace(FEEDS["staff"], row=LaxStaffRow)}
    return replace(site.places, feeds=feeds, builders={**BUILDERS, "dim_staff": lax_staff})


def test_a_good_change_batch_would_pass_and_a_deletion_too(site):
    parked(site, *changed("sales_order", rows("sales_order", 3)))
    parked(site, *deleted("sales_order", [1, 2]))

    assert [result for _, result in results(site)] == [Result(passes=True)] * 2


def test_a_batch_some_rows_of_which_break_the_contract_would_pass_and_says_how_many(site):
    parked(site, *changed("staff", [row("staff"), row("staff", staff_id="x")]))

    assert verdict(site) == Result(passes=True, reason="1 of 2 rows would be quarantined.")


def test_a_message_that_was_given_up_on_and_has_nothing_wrong_would_be_tried_again(site):
    site.redrive("changes", site.archive(*changed("staff", rows("staff", 1))).body())

    found = verdict(site)

    assert found.passes
    assert "would be tried again" in found.reason


@pytest.mark.parametrize("body", ["no json", "{}", '{"type": "totes.heartbeat.v1"}'])
@pytest.mark.parametrize("queue", ["changes", "loads"])
def test_what_is_no_message_of_ours_would_fail_as_malformed(site, queue, body):
    site.park(queue, body, reason="r", reason_class="malformed_message")

    found = verdict(site)

    assert (found.passes, found.cause) == (False, "malformed_message")


@pytest.mark.parametrize("newer", [{"feed": "invoice"}, {"position": Position(generation=1, revision=5, contract=9)}])
def test_a_message_of_a_feed_or_contract_that_is_not_known_yet_would_wait_for_its_code(site, newer):
    batch, _ = changed("staff", rows("staff", 1))
    site.redrive("changes", type(batch).of(batch.data.model_copy(update=newer)).body())

    found = verdict(site)

    assert (found.passes, found.cause) == (False, NEWER)
    assert "deploy its code" in found.reason


@pytest.mark.parametrize("damage", ["missing", "cut", "other"])
def test_an_object_that_is_missing_or_not_the_one_would_fail_as_corrupt(site, damage):
    batch, body = changed("staff", rows("staff", 5))
    if damage != "missing":
        site.archive(batch, body[:-5] if damage == "cut" else changed("staff", rows("staff", 6))[1])
    site.park("changes", batch.body(), reason="r", reason_class="corrupt_object")

    assert verdict(site).cause == "corrupt_object"


def test_a_batch_too_many_rows_of_which_fail_would_be_parked_as_drift_again_until_the_contract_is_mended(site):
    parked(site, *changed("staff", rows("staff", 30, first_name=None)), cause="contract_drift")

    before = verdict(site)
    ((_, after),) = results(site, mended(site))

    assert (before.passes, before.cause) == (False, "contract_drift")
    assert after.passes


def test_a_quarantined_row_would_pass_when_its_contract_is_mended_and_its_neighbour_would_not(site):
    site.quarantine("staff", [row("staff"), row("staff", first_name=None), row("staff", staff_id="x")])

    before = [(entry.row.row, result.passes, result.reason) for entry, result in results(site)]
    after = [(entry.row.row, result.passes) for entry, result in results(site, mended(site))]

    assert [(place, passes) for place, passes, _ in before] == [(1, False), (2, False)]
    assert before[0][2] == "first_name: Input should be a valid string"
    assert after == [(1, True), (2, False)]


def test_a_quarantined_row_that_is_valid_by_now_but_cannot_be_built_would_not_pass(site):
    site.quarantine("staff", [row("staff"), row("staff", first_name=None)])

    def unfit(rows):
        raise ValueError("no room for NULL")

    feeds = mended(site).feeds
    ((_, found),) = results(site, replace(site.places, feeds=feeds, builders={**BUILDERS, "dim_staff": unfit}))

    assert (found.passes, found.cause) == (False, MISTAKE)


def test_quarantined_rows_of_one_object_are_read_together(site):
    site.quarantine("staff", [row("staff", staff_id=f"x{number}") for number in range(15)])
    reads = []
    real = site.places.objects.get
    site.places.objects.get = lambda ref: reads.append(ref) or real(ref)  # type: ignore[method-assign]

    assert len(results(site)) == 15
    assert len(reads) == 1


def test_a_quarantined_row_whose_archive_object_is_gone_would_fail_as_corrupt(site):
    batch = site.quarantine("staff", [row("staff", staff_id="x")])
    site.aws.s3.delete_object(Bucket=site.aws.archive, Key=batch.data.object.key)

    found = verdict(site)

    assert not found.passes


def test_what_does_not_answer_is_no_verdict_that_it_passes(whole_site, aws):
    load_batch = whole_site.transform(*changed("sales_order", rows("sales_order", 2)))
    away = site_at(aws)
    away.park("loads", load_batch.body(), reason="r", reason_class="position_conflict")

    found = verdict(away)

    assert (found.passes, found.cause) == (False, UNAVAILABLE)
    assert found.reason == str(WarehouseUnavailable("The warehouse is away."))


def test_a_mistake_of_our_own_is_a_verdict_and_the_others_are_checked_all_the_same(site):
    def broken(_rows):
        raise ZeroDivisionError

    parked(site, *changed("staff", rows("staff", 1)))
    parked(site, *changed("sales_order", rows("sales_order", 1)))
    places = replace(site.places, builders={**BUILDERS, "dim_staff": broken})

    assert sorted((entry.feed, result.cause) for entry, result in results(site, places)) == [
        ("sales_order", ""),
        ("staff", MISTAKE),
    ]


@pytest.mark.parametrize("feed", ["sales_order", "staff"])
def test_a_good_load_batch_would_pass_and_leaves_the_warehouse_as_it_was(whole_site, feed, warehouse_dsn):
    site = whole_site
    load_batch = site.transform(*changed(feed, rows(feed, 2)))
    gone = site.transform(*deleted(feed, [7]))
    site.redrive("loads", load_batch.body())
    site.redrive("loads", gone.body())
    before = books(site)

    assert [result.passes for _, result in results(site)] == [True, True]
    assert books(site) == before


@pytest.mark.parametrize("feed", ["sales_order", "staff"])
def test_a_load_batch_at_a_position_where_other_rows_are_loaded_would_conflict_again(whole_site, feed):
    site = whole_site
    first = site.transform(*changed(feed, rows(feed, 2)))
    table = FEEDS[feed].star
    load(site.places.warehouse, table, [fetch(site.places.objects, first, table)])
    field = "design_id" if feed == "sales_order" else "first_name"
    rival = site.transform(*changed(feed, rows(feed, 2, **{field: "99"}), page=2))
    site.park("loads", first.body(), reason="r", reason_class="position_conflict")
    site.park("loads", rival.body(), reason="r", reason_class="position_conflict")

    found = {entry.batch: result for entry, result in results(site)}

    assert found[first.data.change_batch].passes
    assert found[rival.data.change_batch].cause == "position_conflict"


def test_a_load_batch_of_a_time_zone_that_postgres_does_not_know_would_fail_as_malformed(whole_site):
    site = whole_site
    good = site.transform(*changed("sales_order", rows("sales_order", 1)))
    bad = LoadBatch.of(good.data.model_copy(update={"time_zone": "Mars/Olympus"}))
    site.park("loads", bad.body(), reason="r", reason_class="malformed_message")

    found = verdict(site)

    assert (found.cause, "Mars/Olympus" in found.reason) == ("malformed_message", True)


def test_a_load_batch_whose_object_is_cut_would_fail_as_corrupt(whole_site):
    site = whole_site
    good = site.transform(*changed("sales_order", rows("sales_order", 1)))
    site.aws.s3.put_object(Bucket=site.aws.processed, Key=good.data.object.key, Body=b"PAR1")
    site.park("loads", good.body(), reason="r", reason_class="corrupt_object")

    assert verdict(site).cause == "corrupt_object"


def test_a_check_sends_stores_and_consumes_nothing(whole_site):
    site = whole_site
    parked(site, *changed("staff", [row("staff"), row("staff", staff_id="x")]))
    site.redrive("loads", site.transform(*changed("sales_order", rows("sales_order", 1))).body())
    site.quarantine("payment", [row("payment", payment_id="x")])
    before = objects(site), waiting(site), books(site)

    assert len(results(site)) == 3
    assert (objects(site), waiting(site), books(site)) == before


def test_the_report_counts_what_would_pass_and_what_would_fail_and_why_by_group(site):
    parked(site, *changed("staff", rows("staff", 1)))
    parked(site, *changed("staff", [row("staff"), row("staff", staff_id="x")], page=2))
    batch, _ = changed("staff", rows("staff", 3), page=3)
    site.park("changes", batch.body(), reason="r", reason_class="contract")
    site.quarantine("payment", [row("payment", payment_id="x"), row("payment", payment_id="y")])

    report = report_of(results(site))
    said = as_json(report)
    text = printed(check_view(report, filtered=False))

    assert [(group["passes"], group["fails"]) for group in said["groups"]] == [(2, 1), (0, 2)]
    assert [each["cause"] for group in said["groups"] for each in group["failing"]] == [
        "corrupt_object",
        "string_pattern_mismatch",
    ]
    assert (said["passes"], said["fails"]) == (2, 3)
    assert said["groups"][0]["note"] == "1 of 2 rows would be quarantined."
    assert "1 would fail with corrupt_object: Expected the object" in " ".join(text.split())
    assert text.endswith("3 of 5 would still fail.\n")
    assert max(map(len, text.splitlines())) <= 80


def test_a_report_without_failures_says_what_to_type(site):
    parked(site, *changed("staff", rows("staff", 1)))

    text = printed(check_view(report_of(results(site)), filtered=False))

    assert text.endswith("All 1 would pass: `totes dlq replay` sends them again.\n")


def books(site):
    """What the warehouse holds, or nothing where it cannot be reached."""

    def count(connection):
        tables = ("fact_sales_order", "dim_staff", "_load_batch", "_feed", "dim_date")
        return [connection.run(f"SELECT count(*) FROM {table}") for table in tables]

    return site.places.warehouse.transaction(None, count)
